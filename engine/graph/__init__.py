"""Workflows: nodes wired to a graph, what is checked before it runs, and the conditions of its edges.

- `workflow`: `Workflow`, wired and checked; the checks are in the private modules beside it.
- `conditions`: which edges an output takes, by the user's `when` functions and switches (`switch`).
- `code`: a hash of a workflow's functions.
- `each`: the node that evaluates a map's `each`.
- `mermaid`: a plan as a flowchart.
- `plan_form`: a checked workflow's plan as it is stored.

`Workflow` and `as_workflow` are imported lazily: reading stored plans needs neither the nodes nor the checks.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .workflow import Workflow, as_workflow
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import workflow

        return getattr(workflow, name)


__all__ = ["Workflow", "as_workflow"]

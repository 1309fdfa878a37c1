"""Workflows: nodes wired to a graph, what is checked before it runs, and the conditions of its edges.

- `workflow`: `Workflow`, wired and checked; the checks are in the private modules beside it.
- `conditions`: which edges an output takes, by the user's `when` functions.
- `plan_form`: a checked workflow's plan as it is stored.

`Workflow` is imported lazily: reading stored plans needs neither the nodes nor the checks.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._single import as_workflow
    from .workflow import Workflow
else:
    _MODULES = {"Workflow": "workflow", "as_workflow": "_single"}

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = ["Workflow", "as_workflow"]

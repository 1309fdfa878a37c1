"""Workflows: nodes wired to a graph, checked with networkx and frozen into a plan.

`Workflow` is imported lazily: reading a stored plan (`plan_form`) needs neither networkx nor the nodes.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .workflow import Workflow
else:

    def __getattr__(name):
        if name != "Workflow":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .workflow import Workflow

        return Workflow


__all__ = ["Workflow"]

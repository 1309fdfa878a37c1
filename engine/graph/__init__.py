"""Workflows: nodes wired to a graph, checked with networkx and frozen into a plan."""

from .workflow import Workflow

__all__ = ["Workflow"]

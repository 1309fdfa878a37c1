"""`as_workflow`: any node where a workflow is wanted."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ...nodes.node import Node
from .workflow import Workflow

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output

_SINGLE: WeakKeyDictionary[Node[Any, Any], Workflow[Any, Any]] = WeakKeyDictionary()


def as_workflow(node: Node[I, O]) -> Workflow[I, O]:
    """The workflow as it is; any other node as a workflow of one, the same one each time."""
    if isinstance(node, Workflow):
        return node
    known = _SINGLE.get(node)
    if known is None:
        known = _SINGLE[node] = Workflow(node.name, start=node, end=node)
    return known

"""`agent.batch`: a node that sends a list as one batch of the provider. Its signature is fixed; it is not built yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .failure import Failure
from .node import Node
from .prompts import Prompt

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
Out = TypeVar("Out")


class BatchDecorator(Generic[Out]):
    """What `agent.batch(...)` gives: makes a node of a function that says what to ask for one item."""

    def __call__(self, fn: Callable[[I], Prompt], /) -> Node[list[I], list[Out | Failure]]:
        """The node: results in the order of the list, failures as values."""
        raise NotImplementedError

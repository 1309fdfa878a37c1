"""`FinishedRun`: what came of a run in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Never, TypeAlias, TypeVar, cast

from perdure.nodes.node import Node

Out = TypeVar("Out", covariant=True)
T = TypeVar("T")

NodeOrName: TypeAlias = Node[Never, object] | str
"""A node of the workflow, or its name."""


def name_of(node: NodeOrName) -> str:
    """The node's name."""
    return node if isinstance(node, str) else node.name


class Prompts(Mapping[NodeOrName, "list[Any]"]):
    """What each agent was asked, in the order in which it was: by node or by name. Iterates over names."""

    def __init__(self, asked: Mapping[str, list[Any]]) -> None:
        self._asked = asked

    def __getitem__(self, node: NodeOrName) -> list[Any]:
        return self._asked[name_of(node)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)

    def __repr__(self) -> str:
        return repr(dict(self._asked))


class FinishedRun(Generic[Out]):
    """A run that succeeded."""

    def __init__(
        self, *, output: Out, outputs: Mapping[str, list[object]], prompts: Mapping[str, list[Any]]
    ) -> None:
        self.output: Out = output
        """The output of the workflow."""
        self.prompts = Prompts(prompts)
        """What was asked, in order: of an agent its prompts, one for each attempt; `[]` where it was not asked."""
        self._outputs = outputs

    def outputs(self, node: Node[Never, T]) -> list[T]:
        """What the node gave, one for each activation that succeeded, in the order of the items of its maps.

        Empty for a node that was skipped. Raises `KeyError` for one that the workflow does not have.
        """
        return cast("list[T]", list(self._outputs[node.name]))

    def __repr__(self) -> str:
        return f"<finished run: {self.output!r}>"

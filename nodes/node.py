"""`Node[In, Out]`: what every kind of node has in common. Kinds live in files of their own."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, Self, TypeAlias, TypeVar

from ._deferred import DeferredType
from .errors import NodeDefinitionError

if TYPE_CHECKING:
    from ..checkpoints.codec import Codec

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Node(Generic[In, Out]):
    """One step of a workflow: takes an `In`, gives an `Out`. Immutable; workflows can share it.

    The name is the node's identity in a workflow and in its database: letters, digits, `_`, `-` and `.`,
    beginning with a letter or `_`. `input` and `output` are types, or deferred ones (`_deferred.py`).
    """

    kind: ClassVar[str] = "node"

    def __init__(self, name: str, *, input: object, output: object) -> None:  # noqa: A002  # as the property
        self._check_name(name)
        self._name = name
        self._input = input
        self._output = output
        self._codecs: dict[str, Codec[Any]] = {}

    @property
    def name(self) -> str:
        """The node's identity in a workflow."""
        return self._name

    @property
    def input(self) -> object:
        """The type that the node takes, as `typing` spells it.

        Raises `NodeDefinitionError` when it names something that is still not defined.
        """
        if isinstance(self._input, DeferredType):
            self._input = self._input.resolve()
        return self._input

    @property
    def output(self) -> object:
        """The type that the node gives. Raises as `input`."""
        if isinstance(self._output, DeferredType):
            self._output = self._output.resolve()
        return self._output

    @property
    def input_codec(self) -> Codec[Any]:
        """Encodes and decodes this node's input (used for the input of a run)."""
        return self._codec("input", self.input)

    @property
    def output_codec(self) -> Codec[Any]:
        """Encodes and decodes this node's output, wherever it flows."""
        return self._codec("output", self.output)

    def named(self, name: str) -> Self:
        """The same node under another name, to use it twice in one workflow."""
        self._check_name(name)
        twin = copy.copy(self)
        twin._name = name
        return twin

    def _codec(self, which: str, type_: object) -> Codec[Any]:
        if which not in self._codecs:
            from ..checkpoints.codec import codec_for  # heavy, and not needed to declare nodes

            self._codecs[which] = codec_for(type_)
        return self._codecs[which]

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            what = "workflow" if self.kind == "workflow" else "node"
            raise NodeDefinitionError(
                f"{name!r} can't be a {what}'s name: use a to z, A to Z, digits, '_', '-' and '.', beginning with a "
                "letter or '_'."
            )

    def __repr__(self) -> str:
        return f"<{self.kind} {self._name}>"


T = TypeVar("T")
Source: TypeAlias = Node[Never, T]
"""Any node that gives a T."""
Target: TypeAlias = Node[T, object]
"""Any node that takes a T."""

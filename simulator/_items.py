"""Output items as plans hold them. Their JSON lives in `_wire`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """An assistant's message; a refusal when `refusal` is set."""

    pieces: tuple[str, ...]
    refusal: bool = False
    phase: Literal["commentary", "final_answer"] | None = None
    annotations: tuple[dict[str, object], ...] = ()
    """Of its text, as the API spells them."""
    kind: Literal["message"] = "message"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionCall:
    """A call of one of the client's functions."""

    name: str
    arguments: str
    call_id: str
    kind: Literal["function_call"] = "function_call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoning:
    """The empty item that reasoning models send first."""

    kind: Literal["reasoning"] = "reasoning"


Item: TypeAlias = Message | FunctionCall | Reasoning

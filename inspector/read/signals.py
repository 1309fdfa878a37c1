"""Signals that nobody has acted on yet, as a person is to see them: of unknown kinds too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.errors import PerdureError
from ...checkpoints.records import Signal
from ...engine.core.addresses import Address


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSignal:
    """A signal that waits for whoever drives the run."""

    id: int
    at: float
    kind: str
    address: Address | None
    data: Any
    """None where it can't be read."""


def kept_signals(signals: Iterable[Signal]) -> list[KeptSignal]:
    """The signals, decoded. One whose data can't be read is shown without it."""
    return [
        KeptSignal(
            id=signal.id,
            at=signal.at,
            kind=signal.kind,
            address=None if signal.node is None else Address(signal.node, signal.path),
            data=_data(signal.data),
        )
        for signal in signals
    ]


def kept_answers(signals: Iterable[KeptSignal]) -> Mapping[Address, str]:
    """The answers that were given and not acted on yet. Of several the first counts."""
    answers: dict[Address, str] = {}
    for signal in signals:
        match signal:
            case KeptSignal(kind="answer", address=Address() as address, data={"answer": str() as reply}):
                answers.setdefault(address, reply)
            case _:
                pass
    return answers


def _data(data: bytes) -> Any:
    try:
        return unpack(data)
    except PerdureError:
        return None

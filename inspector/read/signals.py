"""Signals that nobody has acted on yet, as a person is to see them: of unknown kinds too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.errors import PerdureError
from ...checkpoints.records import Signal
from ...engine.core.addresses import Address, OperationAddress
from ...engine.signal_data import read_fate


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSignal:
    """A signal that waits for whoever drives the run."""

    id: int
    at: float
    kind: str
    address: Address | None
    data: Any
    """None where it can't be read."""

    @property
    def fate(self) -> tuple[OperationAddress, str] | None:
        """What a person has decided with it, and of which operation; None where it decides nothing."""
        if self.kind != "fate" or self.address is None:
            return None
        try:
            return read_fate(self.address, self.data)
        except ValueError:  # it is shown as it is
            return None


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


def kept_fates(signals: Iterable[KeptSignal]) -> Mapping[OperationAddress, str]:
    """What persons have decided of submissions, where nobody has acted on it yet. Of several the first counts."""
    fates: dict[OperationAddress, str] = {}
    for signal in signals:
        if signal.fate is not None:
            fates.setdefault(*signal.fate)
    return fates


def _data(data: bytes) -> Any:
    try:
        return unpack(data)
    except PerdureError:
        return None

"""`Event`: one entry of a run's journal as people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from ..checkpoints.codec import unpack
from ..checkpoints.records import EventRecord
from .core.addresses import Address
from .words import EventType


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happened to a run at one position of its journal."""

    run_id: str
    position: int
    """Counts from 1; `run.events(after=position)` goes on behind it."""
    at: datetime
    """With its zone, UTC."""
    type: EventType
    activation: str | None
    """Which activation it is about, e.g. `research[3]`; None for events of the run as a whole."""
    node: str | None
    """The activation's node."""
    data: Mapping[str, Any]
    """Plain data that depends on the type."""

    @classmethod
    def read(cls, run_id: str, record: EventRecord) -> Event:
        """The entry that was stored so."""
        return cls(
            run_id=run_id,
            position=record.position,
            at=datetime.fromtimestamp(record.at, UTC),
            type=cast("EventType", record.type),
            activation=None if record.node is None else str(Address(record.node, record.path)),
            node=record.node,
            data=unpack(record.data),
        )

    def __str__(self) -> str:
        return f"{self.position} {self.type}" + ("" if self.activation is None else f" {self.activation}")

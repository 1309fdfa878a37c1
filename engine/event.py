"""`Event`: one entry of a run's journal as people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..checkpoints.codec import unpack
from ..checkpoints.records import EventRecord
from .core.addresses import Address


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happened to a run at one position of its checkpoint log.

    `type` is one of the words in `engine.core.journal.NAMES`; `data` is plain data that depends on it.
    """

    run_id: str
    position: int
    """Counts from 1; `run.events(after=position)` goes on behind it."""
    at: float
    """Seconds since the epoch."""
    type: str
    node: str | None
    """None for events of the run as a whole."""
    path: tuple[int, ...]
    data: Mapping[str, Any]

    @classmethod
    def read(cls, run_id: str, record: EventRecord) -> Event:
        """The entry that was stored so."""
        return cls(
            run_id=run_id,
            position=record.position,
            at=record.at,
            type=record.type,
            node=record.node,
            path=record.path,
            data=unpack(record.data),
        )

    def __str__(self) -> str:
        where = f" {Address(self.node, self.path)}" if self.node is not None else ""
        return f"{self.position} {self.type}{where}"

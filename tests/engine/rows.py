"""The rows that a driver would have committed, and what a store hands out of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.checkpoints import ActivationKey, ActivationRecord, ActivationState, ScopeRecord, pack
from perdure.engine.events import Address

S = ActivationState
LIVE = (S.RUNNING, S.SUBMITTING, S.SUBMIT_UNKNOWN, S.WAITING, S.BACKOFF, S.CANCELLING)


@dataclass
class Row:
    """An activation as the commands said that it must be stored."""

    key: ActivationKey
    state: ActivationState
    attempt: int
    taken: tuple[int, ...] | None
    items: int | None

    @property
    def undecided(self) -> bool:
        return self.state is S.SUCCEEDED and self.taken is None


@dataclass
class Rows:
    """What is stored of one run."""

    activations: dict[Address, Row] = field(default_factory=dict[Address, Row])
    scopes: dict[int, ScopeRecord] = field(default_factory=dict[int, ScopeRecord])

    @property
    def _open(self) -> set[int]:
        return {0, *(number for number, record in self.scopes.items() if record.open)}

    def scope_records(self, *, open_only: bool = True) -> list[ScopeRecord]:
        """By number; with `open_only` the open ones, those inside an open one, and the newest."""
        is_open, newest = self._open, max(self.scopes, default=0)
        return [
            record
            for number, record in sorted(self.scopes.items())
            if not open_only or record.open or record.parent in is_open or number == newest
        ]

    def activation_records(self, *, open_only: bool = True) -> list[ActivationRecord]:
        """By scope, node and item; with `open_only` those in open scopes."""
        is_open = self._open
        rows = [
            (row.key.scope, row.key.node, row.key.item, address, row)
            for address, row in self.activations.items()
            if not open_only or row.key.scope in is_open
        ]
        return [_record(address, row) for *_, address, row in sorted(rows, key=lambda entry: entry[:3])]


def _record(address: Address, row: Row) -> ActivationRecord:
    return ActivationRecord(
        run=1,
        key=row.key,
        path=address.path,
        state=row.state,
        attempt=row.attempt,
        submission=0,
        unknown=0,
        wake_at=None,
        started_at=0.0,
        updated_at=0.0,
        taken=None if row.taken is None else pack(list(row.taken)),
        items=row.items,
        token=None,
        error=None,
        usage=None,
        has_result=row.state is S.SUCCEEDED,
        has_request=False,
    )

"""The continuation tokens that are out now: of operations at providers, and of timers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.records import OperationRecord, RunRecord, State
from ...checkpoints.view import View
from ...engine.core.addresses import Address

_OUT = (State.WAITING, State.CANCELLING)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenToken:
    """One token, with its operation and run."""

    run: RunRecord
    operation: OperationRecord
    token: Mapping[str, Any]
    holder: str | None
    """Who drives the run."""

    @property
    def address(self) -> Address:
        return Address(self.operation.key.node, self.operation.path)


def open_tokens(view: View, name: str | None) -> list[OpenToken]:
    """The tokens of all runs, or of the one that is named so; oldest first."""
    wanted = None if name is None else view.find(name).key
    records = [
        (record, record.token)
        for record in view.open_operations()
        if record.state in _OUT and record.token is not None and wanted in (None, record.run)
    ]
    runs = {run.key: run for run in view.runs_by_key(sorted({record.run for record, _ in records}))}
    holders = {run.owner: view.holder(run) for run in runs.values()}
    return [
        OpenToken(
            run=runs[record.run],
            operation=record,
            token=unpack(token),
            holder=holders[runs[record.run].owner],
        )
        for record, token in records
    ]

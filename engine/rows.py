"""What the scheduler says is to be saved, as rows."""

from __future__ import annotations

from ..checkpoints import ActivationColumns, ActivationState, ScopeRecord, pack
from .commands import SaveScope
from .state import Activation

NONE_TAKEN = pack([])


def set_columns(columns: ActivationColumns, activation: Activation) -> None:
    """What the scheduler knows of an activation, as columns of its row."""
    columns["state"] = activation.state
    if activation.attempt > 1:
        columns["attempt"] = activation.attempt
        if activation.state is ActivationState.RUNNING:  # a new attempt begins with nothing of the last one
            columns.update(error=None, token=None, request=None, wake_at=None)
    if activation.state is ActivationState.SUCCEEDED:
        taken = activation.taken
        columns["taken"] = NONE_TAKEN if taken == () else None if taken is None else pack(list(taken))
        if activation.items is not None:
            columns["items"] = activation.items


def scope_record(command: SaveScope) -> ScopeRecord:
    """The row of a scope instance that was opened or closed."""
    scope = command.scope
    return ScopeRecord(
        number=scope.number,
        scope=scope.scope,
        parent=scope.parent or 0,
        path=scope.path,
        size=scope.size,
        open=command.open,
    )

"""The table of transitions: which move leads an operation or an activation from one state to which.

All that changes a state goes through `Step.move`, `Step.create` and `Step.save_operation`, which look the next state up
here, so what the table does not have is impossible. The first terminal state wins: no move leads out of one, but a
retry out of a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from ...checkpoints.records import State

S = State


class Move(Enum):
    """What can be done to an operation or activation, once it is known what an event means."""

    __hash__ = object.__hash__  # Enum's own is a Python function, and moves are looked up at every step

    START = auto()
    HOLD_BACK = auto()
    SKIP = auto()
    INTEND = auto()
    OPEN = auto()
    ACCEPT = auto()
    REFUSE = auto()
    LOSE = auto()
    LOOK = auto()
    GO_ON = auto()
    BACK_OFF = auto()
    SUCCEED = auto()
    DECIDE = auto()
    MISS = auto()
    FAIL = auto()
    CANCEL = auto()
    ACKNOWLEDGE = auto()


OPERATIONS: Final[Mapping[Move, Mapping[State | None, State]]] = {
    Move.INTEND: {None: S.SUBMITTING, S.SUBMIT_UNKNOWN: S.SUBMITTING, S.BACKOFF: S.SUBMITTING},
    Move.OPEN: {None: S.WAITING},
    Move.ACCEPT: {S.SUBMITTING: S.WAITING, S.SUBMIT_UNKNOWN: S.WAITING, S.BACKOFF: S.WAITING},
    Move.REFUSE: {S.SUBMITTING: S.BACKOFF},
    Move.LOSE: {S.SUBMITTING: S.SUBMIT_UNKNOWN},
    Move.LOOK: {S.SUBMIT_UNKNOWN: S.SUBMIT_UNKNOWN},
    Move.GO_ON: {S.WAITING: S.WAITING, S.CANCELLING: S.CANCELLING},
    Move.SUCCEED: {S.WAITING: S.SUCCEEDED, S.CANCELLING: S.SUCCEEDED},
    Move.DECIDE: {S.SUCCEEDED: S.SUCCEEDED},  # its result is decoded again
    Move.MISS: {S.WAITING: S.LOST},
    Move.FAIL: {
        S.SUBMITTING: S.FAILED,
        S.SUBMIT_UNKNOWN: S.FAILED,
        S.WAITING: S.FAILED,
        S.CANCELLING: S.FAILED,
    },
    Move.CANCEL: {S.WAITING: S.CANCELLING, S.BACKOFF: S.CANCELLED, S.SUBMIT_UNKNOWN: S.CANCELLED},
    Move.ACKNOWLEDGE: {S.CANCELLING: S.CANCELLED},
}
"""Of operations. None: there is none yet."""

ACTIVATIONS: Final[Mapping[Move, Mapping[State | None, State]]] = {
    Move.START: {
        None: S.RUNNING,
        S.READY: S.RUNNING,
        S.BACKOFF: S.RUNNING,
        S.FAILED: S.RUNNING,
        S.CANCELLED: S.RUNNING,
    },
    Move.HOLD_BACK: {
        None: S.READY,
        S.RUNNING: S.READY,  # what it was about to submit is not submitted
    },
    Move.SKIP: {None: S.SKIPPED},
    Move.BACK_OFF: {
        S.RUNNING: S.BACKOFF,
        S.FAILED: S.BACKOFF,  # retried, and operations of other chains have not ended
        S.CANCELLED: S.BACKOFF,
    },
    Move.SUCCEED: {S.RUNNING: S.SUCCEEDED, S.CANCELLING: S.SUCCEEDED},
    Move.DECIDE: {S.SUCCEEDED: S.SUCCEEDED},  # its edges are evaluated again
    Move.FAIL: {S.RUNNING: S.FAILED, S.CANCELLING: S.FAILED},
    Move.CANCEL: {
        None: S.CANCELLED,
        S.READY: S.CANCELLED,
        S.RUNNING: S.CANCELLING,
        S.BACKOFF: S.CANCELLED,
    },
    Move.ACKNOWLEDGE: {
        S.RUNNING: S.CANCELLED,  # its operation has ended
        S.CANCELLING: S.CANCELLED,
    },
}
"""Of activations, from their own state: that of their operations moves by itself. None: there is none yet."""

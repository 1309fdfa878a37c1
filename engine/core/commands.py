"""The commands: the closed list of what `machine.advance` and `pending.pending` ask a driver to do.

The `Save…` commands belong into the transition that is committed; all others begin after its COMMIT has returned. What
takes IO has a performer in the driver, which gives back the events that came of it; `Wake`, `Hold` and `Finish` take
none.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ...checkpoints.records import (
    ActivationColumns,
    ActivationKey,
    OperationColumns,
    OperationKey,
    RunStatus,
    SubmissionColumns,
    SubmissionKey,
)
from ._distinct import distinct
from .addresses import Address, OperationAddress
from .state import Scope


class SaveActivation(NamedTuple):
    """The activation changed: these columns of its row belong into this transition."""

    key: ActivationKey
    columns: ActivationColumns


class SaveOperation(NamedTuple):
    """The operation changed: these columns of its row belong into this transition."""

    key: OperationKey
    columns: OperationColumns


class SaveSubmission(NamedTuple):
    """The submission changed: these columns of its row belong into this transition."""

    key: SubmissionKey
    columns: SubmissionColumns


class SaveScope(NamedTuple):
    """A scope instance was opened or closed: its row belongs into this transition."""

    scope: Scope
    open: bool


@distinct
class Call(NamedTuple):
    """Run the activation's node: its function, or the one that makes its request and then wants a submission."""

    address: Address


@distinct
class Decode(NamedTuple):
    """Make the activation's output of what its operation gave, which is stored."""

    operation: OperationAddress


@distinct
class EvaluateEdges(NamedTuple):
    """Evaluate the outgoing edges of this activation, whose output is stored, once more."""

    address: Address


@distinct
class Submit(NamedTuple):
    """Send the operation's request. Its intent is committed."""

    operation: OperationAddress


@distinct
class Resubmit(NamedTuple):
    """Get the operation a place for another submission, then intend it."""

    operation: OperationAddress


@distinct
class Find(NamedTuple):
    """Ask the provider whether it has this operation, whose submission is of unknown fate."""

    operation: OperationAddress


@distinct
class Poll(NamedTuple):
    """Ask after the operation."""

    operation: OperationAddress


@distinct
class Fetch(NamedTuple):
    """Poll an operation whose result can be had once."""

    operation: OperationAddress


@distinct
class CancelCall(NamedTuple):
    """Cancel what the activation's function does, here."""

    address: Address


@distinct
class CancelRemote(NamedTuple):
    """Cancel the operation at its provider, until that is acknowledged."""

    operation: OperationAddress


@distinct
class CancelStray(NamedTuple):
    """Cancel a submission that does not count at its provider, until that is acknowledged."""

    operation: OperationAddress
    submission: int


@distinct
class Wake(NamedTuple):
    """Look at the activation, or at its operation where one is given, at this moment: see `pending.due` and `pending.backoff_due`."""

    at: float
    address: Address
    operation: OperationAddress | None = None


@distinct
class Hold(NamedTuple):
    """The submission's fate is for a person to decide: say so."""

    operation: OperationAddress


@distinct
class Finish(NamedTuple):
    """The run has ended; nothing of it is live."""

    status: RunStatus


Save: TypeAlias = SaveActivation | SaveOperation | SaveSubmission | SaveScope
Effect: TypeAlias = (
    Call
    | Decode
    | EvaluateEdges
    | Submit
    | Resubmit
    | Find
    | Poll
    | Fetch
    | CancelCall
    | CancelRemote
    | CancelStray
    | Wake
    | Hold
    | Finish
)
Command: TypeAlias = Save | Effect

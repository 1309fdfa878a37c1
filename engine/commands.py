"""The commands of the scheduler: the closed list of what `advance` asks its driver to do.

`Save` and `SaveScope` belong into the transition that is committed; the others begin after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..checkpoints import ActivationKey, RunStatus
from .events import Address
from .state import Activation, Scope


@dataclass(frozen=True, slots=True)
class Start:
    """Run the activation's node, once the transition is committed. A plain edge gives its input."""

    address: Address


@dataclass(frozen=True, slots=True)
class Settle:
    """The fate of the activation's submission is unknown and the run goes on: apply the node's policy."""

    address: Address


@dataclass(frozen=True, slots=True)
class Decide:
    """Evaluate the outgoing edges of this activation again."""

    address: Address


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel what the activation is doing, here or at its provider, until that is acknowledged."""

    address: Address


@dataclass(frozen=True, slots=True)
class Save:
    """The activation changed: its row belongs into this transition.

    `key` says which row. Ask for it here: once the step is over, the scope in which the activation lay may be
    forgotten.
    """

    address: Address
    activation: Activation
    key: ActivationKey


@dataclass(frozen=True, slots=True)
class SaveScope:
    """A scope instance was opened or closed: its row belongs into this transition."""

    scope: Scope
    open: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """The run has ended; nothing of it is live."""

    status: RunStatus


Command: TypeAlias = Start | Settle | Decide | Cancel | Save | SaveScope | Finish

"""What an unfinished run waits on: a provider, a person, a time, or a process that drives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ...checkpoints.records import State
from ...engine.core.addresses import Address, OperationAddress
from .activations import Activation, Operation

S = State

Awaited: TypeAlias = Literal["provider", "person", "time", "driver"]
"""What a run can wait on: a provider's answer, a person's, a time, or a process that drives it on."""
_ORDER: Sequence[Awaited] = ("person", "provider", "time", "driver")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """One thing that a run waits on."""

    on: Awaited
    address: Address | None = None
    """The activation, None for the run as a whole."""
    operation: OperationAddress | None = None
    """The operation of the activation, None where that waits without one."""
    provider: str | None = None
    at: float | None = None
    """When something is due, seconds since the epoch."""
    undecided: bool = False
    """Whether a person may decide what becomes of a submission of unknown fate."""
    fate: str | None = None
    """What a person has decided, where nobody has acted on it yet."""


def waits_of(
    activations: Iterable[Activation], *, holder: str | None, fates: Mapping[OperationAddress, str]
) -> list[Wait]:
    """What the activations of an unfinished run wait on, the person first.

    `holder` is who drives the run, `fates` are what persons have decided and nobody has acted on yet.
    """
    found = [wait for activation in activations for wait in _of_activation(activation, holder, fates)]
    if holder is None:
        found.append(Wait(on="driver"))
    return sorted(found, key=lambda wait: _ORDER.index(wait.on))


def _of_activation(
    activation: Activation, holder: str | None, fates: Mapping[OperationAddress, str]
) -> Iterator[Wait]:
    operations = activation.all_open
    for operation in operations:
        wait = _of_operation(activation, operation, holder, fates.get(operation.address))
        if wait is not None:
            yield wait
    if not operations and activation.state is S.BACKOFF:
        yield Wait(on="time", address=activation.address, at=activation.wake_at)


def _of_operation(
    activation: Activation, operation: Operation, holder: str | None, fate: str | None
) -> Wait | None:
    at = operation.record.wake_at
    wait = Wait(on="driver", address=activation.address, operation=operation.address)
    match operation.record.state:
        case S.WAITING | S.CANCELLING if operation.token is not None:
            if activation.kind == "timer":
                return replace(wait, on="time", at=_until(operation.token, at))
            return replace(wait, on="provider", provider=str(operation.token["provider"]), at=at)
        case S.BACKOFF:
            return replace(wait, on="time", at=at)
        case S.SUBMIT_UNKNOWN if fate is not None:
            return replace(wait, fate=fate)
        case S.SUBMIT_UNKNOWN if operation.held:
            return replace(wait, on="person", undecided=True)
        case S.SUBMIT_UNKNOWN if at is not None:
            return replace(wait, on="time", at=at)
        case S.SUBMITTING if holder is None:  # its process ended before the handle was known
            return replace(wait, undecided=fate is None, fate=fate)
        case _:
            return None


def _until(token: Mapping[str, Any], at: float | None) -> float | None:
    """When a timer ends: the time that its token holds. It is looked at earlier, in case the clock was set."""
    until = token["handle"].get("until")
    return float(until) if isinstance(until, int | float) else at

"""What an unfinished run waits on: a provider, a person, a time, or a process that drives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ...checkpoints.records import State
from ...engine.core.addresses import Address
from .activations import Activation

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
    provider: str | None = None
    at: float | None = None
    """When something is due, seconds since the epoch."""
    undecided: bool = False
    """Whether a person may decide what becomes of a submission of unknown fate."""
    fate: str | None = None
    """What a person has decided, where nobody has acted on it yet."""


def waits_of(
    activations: Iterable[Activation], *, holder: str | None, fates: Mapping[Address, str]
) -> list[Wait]:
    """What the activations of an unfinished run wait on, the person first.

    `holder` is who drives the run, `fates` are what persons have decided and nobody has acted on yet.
    """
    found = [
        wait
        for activation in activations
        if (wait := _wait(activation, holder, fates.get(activation.address))) is not None
    ]
    if holder is None:
        found.append(Wait(on="driver"))
    return sorted(found, key=lambda wait: _ORDER.index(wait.on))


def _wait(activation: Activation, holder: str | None, fate: str | None) -> Wait | None:
    address, operation = activation.address, activation.open
    if operation is None:
        if activation.state is S.BACKOFF:
            return Wait(on="time", address=address, at=activation.wake_at)
        return None
    at = operation.record.wake_at
    match operation.record.state:
        case S.WAITING | S.CANCELLING if operation.token is not None:
            if activation.kind == "timer":
                return Wait(on="time", address=address, at=_until(operation.token, at))
            return Wait(on="provider", address=address, provider=str(operation.token["provider"]), at=at)
        case S.BACKOFF:
            return Wait(on="time", address=address, at=at)
        case S.SUBMIT_UNKNOWN if fate is not None:
            return Wait(on="driver", address=address, fate=fate)
        case S.SUBMIT_UNKNOWN if operation.held:
            return Wait(on="person", address=address, undecided=True)
        case S.SUBMIT_UNKNOWN if at is not None:
            return Wait(on="time", address=address, at=at)
        case S.SUBMITTING if holder is None:  # its process ended before the handle was known
            return Wait(on="driver", address=address, undecided=fate is None, fate=fate)
        case _:
            return None


def _until(token: Mapping[str, Any], at: float | None) -> float | None:
    """When a timer ends: the time that its token holds. It is looked at earlier, in case the clock was set."""
    until = token["handle"].get("until")
    return float(until) if isinstance(until, int | float) else at

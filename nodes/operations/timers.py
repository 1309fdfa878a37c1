"""`TimerOperation`: waits until a time of the clock. Local: nothing leaves the process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from ..errors import OperationCancelledError, OperationError
from ._names import TIMER
from .outcomes import Cancelled, Outcome, Running, Succeeded
from .tokens import ContinuationToken, Json

PROVIDER: Final = TIMER
"""The name that tokens of timers carry."""

LOOK_EVERY: Final = 30.0
"""Seconds after which the wall clock is looked at again at the latest, in case it was set."""


class TimerOperation:
    """A timer. Its request is `{"until": epoch seconds}` or `{"after": seconds}`, its handle `{"until": ...}`.

    The absolute time is committed once, when the timer begins. From then on the wall clock alone decides: after a
    downtime, or when the clock was set forward past it, a timer is due at once; when the clock was set back, it
    waits until the clock shows its time again.
    """

    def __init__(self, *, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives the seconds since the epoch; None: that of the executor, the wall clock without one."""
        self._own = clock is not None
        self._clock = clock or time.time
        self._look_every = LOOK_EVERY

    def on_clock(self, clock: Callable[[], float]) -> TimerOperation:
        """A timer on that clock, unless it has one of its own. Whoever gives the clock looks at it again by himself."""
        if self._own or clock is time.time:
            return self
        timer = TimerOperation(clock=clock)
        timer._look_every = math.inf
        return timer

    @property
    def provider(self) -> str:
        """`perdure.timer`."""
        return PROVIDER

    async def prepare(self) -> None:
        """Nothing to prepare."""

    def open(self, request: Mapping[str, Json], key: str, at: float) -> ContinuationToken:
        """The token of a timer that begins at `at`. Raises `OperationError` for a request without a usable time."""
        match request:
            case {"until": int() | float() as until, **rest} if not rest and _is_number(until):
                moment = float(until)
            case {"after": int() | float() as after, **rest} if not rest and _is_number(after) and after >= 0:
                moment = at + after
            case _:
                raise OperationError(
                    f"{dict(request)!r} is no request of a timer. Use {{'until': seconds since the epoch}} or "
                    "{'after': seconds, 0 or more}.",
                    code="invalid_request",
                )
        return ContinuationToken(provider=PROVIDER, handle={"until": moment}, created_at=at)

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """As `open`, now."""
        return self.open(request, key, self._clock())

    def poll_after(self, token: ContinuationToken) -> float:
        """Seconds to wait before the first look at the clock."""
        return min(max(0.0, _until(token) - self._clock()), self._look_every)

    async def poll(self, token: ContinuationToken) -> Outcome:
        """`Succeeded` once the wall clock has reached the time. Its value is None."""
        rest = _until(token) - self._clock()
        if rest <= 0:
            return Succeeded(value=None)
        return Running(token=token, retry_after=min(rest, self._look_every), status="waiting")

    async def cancel(self, token: ContinuationToken) -> Outcome:
        """Acknowledged at once: there is nobody to tell. A timer that is due has ended, and stays so."""
        if _until(token) <= self._clock():
            return Succeeded(value=None)
        return Cancelled(error=OperationCancelledError("The timer was cancelled.", code="cancelled"))


def _is_number(value: float) -> bool:
    return not isinstance(value, bool) and math.isfinite(value)


def _until(token: ContinuationToken) -> float:
    """The time of a timer. Raises `OperationError` for a token of something else."""
    until = token.handle.get("until")
    if token.provider != PROVIDER or not isinstance(until, int | float) or isinstance(until, bool):
        raise OperationError(
            f"This token is of {token.provider!r} and holds {dict(token.handle)!r}; a timer goes on with tokens of "
            f"{PROVIDER!r} that hold 'until'. Pass the token that the timer gave.",
            code="wrong_token",
        )
    return until

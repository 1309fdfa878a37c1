"""`Retry`: how often, and after which waits, a node is tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .durations import Duration, seconds
from .errors import NodeDefinitionError


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Attempts after the first, each after a wait twice as long as the one before, less up to half of it at random."""

    times: int
    """How many attempts may follow the first."""
    first: Duration = 1.0
    """The wait before the second attempt."""
    cap: Duration = 60.0
    """The longest wait."""
    unless: tuple[type[Exception], ...] = ()
    """Exceptions that are worth no other attempt."""

    def __post_init__(self) -> None:
        """Raises `NodeDefinitionError` for a number or a duration that is none."""
        if type(self.times) is not int or self.times < 0:  # True is no number here
            raise NodeDefinitionError(
                f"retries={self.times!r}, but it counts the attempts after the first: use 0 or more."
            )
        for name in ("first", "cap"):
            if not 0 < seconds(getattr(self, name), f"Retry({name}=...)") < math.inf:
                raise NodeDefinitionError(f"Retry({name}={getattr(self, name)!r}): use a duration above 0.")


def as_retry(retries: int | Retry, where: str | None = None) -> Retry:
    """A number of attempts as a `Retry` with the usual waits. Raises `NodeDefinitionError`, which names `where`."""
    try:
        return retries if isinstance(retries, Retry) else Retry(times=retries)
    except NodeDefinitionError as error:
        raise NodeDefinitionError(f"{where}: {error}" if where else str(error)) from None

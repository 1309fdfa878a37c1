"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

FIRST = 0.5
"""Seconds before the second attempt, before jitter."""
LONGEST = 60.0
"""Seconds that a backoff never exceeds."""


def delay(failures: int, random: Random) -> float:
    """Seconds to wait after so many failures in a row (from 1): exponential, with up to half of it taken off.

    The jitter keeps activations that failed together from coming back together.
    """
    full = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 20))
    return full * (1.0 - 0.5 * random.random())


def retries_left(attempt: int, retries: int) -> bool:
    """Whether another attempt may follow this one (from 1) by itself.

    A manual retry begins a new round: attempts come in rounds of `retries + 1`.
    """
    return attempt % (retries + 1) != 0

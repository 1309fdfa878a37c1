"""Random deaths: a process is killed a few milliseconds after some point, both drawn by a seed."""

from __future__ import annotations

from random import Random

from .kills import ANYTHING, Step
from .scenario import Life, Scenario

FIRST = 100
"""A briefing comes by many more points than these, so that the first process is always killed before its end."""
LATER = 12
"""The following processes are killed soon, before nothing is left to do."""


def lives(random: Random, count: int) -> tuple[Life, ...]:
    """So many deaths in a row."""
    return tuple(
        Life(
            steps=(Step(what=ANYTHING, nth=random.randint(1, LATER if number else FIRST)),),
            delay=random.choice((0.0, random.uniform(0.0005, 0.02))),
        )
        for number in range(count)
    )


def scenario(name: str, seed: int, count: int) -> Scenario:
    """A briefing that is killed `count` times; the same for the same seed."""
    random = Random(f"{seed}, {count}")
    durations = {f"research[{item}]": random.uniform(0.2, 0.6) for item in range(4)}
    durations["outline"] = random.uniform(0.1, 1.2)
    return Scenario(name=name, lives=lives(random, count), durations=durations)

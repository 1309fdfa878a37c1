"""`KillReport`: what `kill_everywhere` has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class KillReport:
    """A run that came out the same wherever it was killed. `str()` of it is for people."""

    workflow: str
    commits: tuple[str, ...]
    """The commits of the undisturbed run, in order, by their last events."""
    kills: int
    """How many processes were killed."""
    not_reached: tuple[str, ...]
    """Where no process could be killed, because its run took another way, as concurrent ones may."""
    submissions: Mapping[str, int]
    """How often each agent's node was submitted in the undisturbed run."""
    unknown_fates: int
    """Submissions of unknown fate, over all the runs: those that may have been made twice."""
    seconds: float
    """How long it took."""

    def __str__(self) -> str:
        asked = ", ".join(f"{node} {count}" for node, count in sorted(self.submissions.items())) or "none"
        lines = [
            f"{self.workflow}: killed {self.kills} times around {len(self.commits)} commits, the same output each time",
            f"  submissions undisturbed: {asked}",
            f"  unknown fates: {self.unknown_fates}",
            f"  took {self.seconds:.1f} s",
            *(f"  not reached: {place}" for place in self.not_reached),
        ]
        return "\n".join(lines)

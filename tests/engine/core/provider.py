"""A provider that hypothesis plays: what it accepts, refuses, answers late or never, and what it must never see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from perdure.engine.core.addresses import OperationAddress


@dataclass
class Job:
    """One run at the provider: what somebody pays for."""

    operation: OperationAddress
    submission: int
    handle: str
    accepted_at: float
    consumed: bool = False
    cancelled: bool = False


@dataclass
class Provider:
    """All that was accepted. `honours` is for how long a key gives the same job, `shows_after` when it can be found."""

    jobs: list[Job] = field(default_factory=list[Job])
    first_seen: dict[OperationAddress, float] = field(default_factory=dict[OperationAddress, float])
    handle: dict[OperationAddress, Job] = field(default_factory=dict[OperationAddress, Job])
    """The jobs that the engine holds the handles of."""
    sent: defaultdict[OperationAddress, int] = field(
        default_factory=lambda: defaultdict[OperationAddress, int](int)
    )

    def accept(self, operation: OperationAddress, submission: int, now: float, *, honours: float) -> Job:
        """Take the submission: the same job within the time for which its key is honoured."""
        first = self.first_seen.setdefault(operation, now)
        known = self.of(operation)
        if known and now < first + honours:
            return known[-1]
        job = Job(operation, submission, f"job-{len(self.jobs) + 1}", now)
        self.jobs.append(job)
        return job

    def of(self, operation: OperationAddress) -> list[Job]:
        """The jobs of an operation, oldest first."""
        return [job for job in self.jobs if job.operation == operation]

"""A random course of a run: which event comes next, which edges are taken, how many items there are.

`Course` plays the part of everything outside the scheduler: nodes that succeed and fail, providers, a user who
cancels or retries, and a process that dies between two events.
"""

from __future__ import annotations

from collections.abc import Callable

from perdure.checkpoints import ActivationState, RunStatus
from perdure.engine.commands import Finish
from perdure.engine.events import (
    Address,
    AttemptStarted,
    BackedOff,
    Cancelled,
    CancelRequested,
    EdgesDecided,
    EdgesFailed,
    Event,
    Failed,
    RunRetried,
    RunStarted,
    SubmissionIntended,
    SubmissionUnknown,
    Submitted,
    Succeeded,
    TokenAdvanced,
)
from perdure.engine.plan import EdgeKind, Plan

from .graphs import Choices
from .oracle import Fact
from .play import Play

S = ActivationState
ENDLESS = 5_000
"""Many more events than any of these runs needs."""


class Course:
    """Drives one run. `detours` bounds the events that lead nowhere by themselves (submissions, polls,
    backoffs), `failures` those that fail the run; when both are used up the run goes straight to its end.

    `decisions` is what each activation decides when it succeeds; a second course with the same decisions must
    come to the same end.
    """

    def __init__(
        self,
        plan: Plan,
        choices: Choices,
        *,
        decisions: dict[Address, Fact] | None = None,
        detours: int = 0,
        failures: int = 0,
        crashes: bool = False,
        cancel_after: int | None = None,
        checked: bool = True,
    ) -> None:
        self.play = Play(plan, checked=checked)
        self.plan = plan
        self.choices = choices
        self.known = decisions
        self.decisions: dict[Address, Fact] = {} if decisions is None else dict(decisions)
        self.detours = detours
        self.failures = failures
        self.crashes = crashes
        self.cancel_after = cancel_after
        self.after_each: Callable[[Play], object] | None = None

    def run(self) -> Play:
        """To the end: a failed run is retried until nothing is left to do."""
        self.apply(RunStarted())
        retried_in_vain = False
        while not retried_in_vain:
            assert len(self.play.journal) < ENDLESS, "the run does not come to an end"
            match self.play.finished:
                case RunStatus.FAILED:
                    self.apply(RunRetried())
                    retried_in_vain = self.play.commands[-1] == [
                        Finish(RunStatus.FAILED)
                    ]  # the end was skipped
                case RunStatus.SUCCEEDED | RunStatus.CANCELLED:
                    break
                case _ if self.cancel_after is not None and len(self.play.journal) >= self.cancel_after:
                    self.cancel_after = None
                    self.apply(CancelRequested())
                case _:
                    self.apply(self._next())
        return self.play

    def apply(self, event: Event) -> None:
        self.play.apply(event)
        if self.after_each is not None:
            self.after_each(self.play)
        if self.crashes and self.choices.chance(20):
            self.play.crash()

    def _next(self) -> Event:
        play = self.play
        parked = play.state.outcome is RunStatus.FAILED
        movable = [a for a in play.live() if not (parked and play.rows[a].state is S.SUBMIT_UNKNOWN)]
        movable += sorted(play.to_decide) if play.state.outcome is None else []
        address = self.choices.one(movable)
        detours, failures = self._detours(address), self._failures(address)
        if self.failures and failures and self.choices.chance(15):
            self.failures -= 1
            return self.choices.one(failures)
        if self.detours and detours and self.choices.chance(50):
            self.detours -= 1
            return self.choices.one(detours)
        return self._progress(address)

    def _detours(self, address: Address) -> list[Event]:
        match self.play.rows[address].state:
            case S.RUNNING:
                return [SubmissionIntended(address), SubmissionIntended(address), BackedOff(address)]
            case S.SUBMITTING:
                return [SubmissionUnknown(address), BackedOff(address)]
            case S.SUBMIT_UNKNOWN:
                return [Submitted(address)]
            case S.WAITING:
                return [TokenAdvanced(address), BackedOff(address)]
            case S.CANCELLING:
                return [TokenAdvanced(address), self._success(address)]
            case _:
                return []

    def _failures(self, address: Address) -> list[Event]:
        match self.play.rows[address].state:
            case S.RUNNING | S.WAITING:
                return [Failed(address), Failed(address), Succeeded(address, taken=None)]
            case S.CANCELLING:
                return [Failed(address), Succeeded(address, taken=None)]
            case S.SUBMITTING | S.SUBMIT_UNKNOWN:
                return [Failed(address)]
            case S.SUCCEEDED:
                return [EdgesFailed(address)]
            case _:
                return []

    def _progress(self, address: Address) -> Event:
        match self.play.rows[address].state:
            case S.SUBMITTING:
                return (
                    Cancelled(address) if self.play.ending and self.choices.chance(50) else Submitted(address)
                )
            case S.SUBMIT_UNKNOWN:
                return SubmissionIntended(address)
            case S.BACKOFF:
                return AttemptStarted(address)
            case S.CANCELLING:
                return Cancelled(address)
            case S.SUCCEEDED:
                fact = self._decide(address)
                return EdgesDecided(address, fact.taken, fact.items)
            case _:
                return self._success(address)

    def _success(self, address: Address) -> Succeeded:
        fact = self._decide(address)
        return Succeeded(address, fact.taken, fact.items)

    def _decide(self, address: Address) -> Fact:
        """Which edges fire and how many items there are, as the driver would find by asking the `when`s."""
        if address not in self.decisions:
            assert self.known is None, f"{address} ran in this order of completion and not in the other"
            self.decisions[address] = self._draw(address)
        return self.decisions[address]

    def _draw(self, address: Address) -> Fact:
        edges = self.plan.outgoing[address.node]
        conditional = [edge.index for edge in edges if edge.conditional]
        otherwise = [edge.index for edge in edges if edge.otherwise]
        needed = len(edges) == len(conditional)  # else the driver fails: no edge at all
        taken = self.choices.some(conditional, int(needed and bool(conditional)), len(conditional))
        mapped = any(edge.kind is EdgeKind.MAP for edge in edges)
        return Fact(tuple(sorted(taken or otherwise)), self.choices.one([2, 1, 3, 0]) if mapped else None)

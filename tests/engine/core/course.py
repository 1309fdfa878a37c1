"""A random course of a run: what is done next, what comes of it, who interferes, and when the process dies.

`Course` is the world of a `Driver`: nodes that succeed and fail, a provider, people who answer, cancel and retry. It
asks hypothesis for each choice, and holds the provider's books: nothing may be paid for twice silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from perdure.checkpoints.records import OperationRecord, RunStatus, Source, State
from perdure.engine.core import commands as c
from perdure.engine.core import events
from perdure.engine.core._attempts import at_work
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.commands import Effect
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.handles import meaning
from perdure.engine.core.plan import EdgeKind, Plan
from perdure.engine.core.policy import RESUBMISSIONS, Policies, Policy
from perdure.engine.core.state import Activation

from ..graphs import Choices
from ..oracle import Fact
from .driver import Driver
from .play import Play
from .provider import Job, Provider

S = State
KINDS = ["function", "operation", "local", "asks", "agent"]
"""`asks`: a function that asks in chains of its own. `agent`: operations one after the other, with others as tools."""
CHAINS = {"first": 1, "second": 2, "third": 1}
"""The chains of a function that asks, and how many operations each may have."""
TURNS = 3
ENDLESS = 5_000
"""Many more events than any of these runs needs."""


class Course:
    """Drives one run. `detours` bounds what leads nowhere by itself (polls, refusals, lost replies, crashes),
    `failures` what fails an attempt; when both are used up the run goes straight to its end.

    `decisions` is what each activation decides when it succeeds; a second course with the same decisions must
    come to the same end.
    """

    def __init__(
        self,
        plan: Plan,
        choices: Choices,
        policies: Policies,
        *,
        decisions: dict[Address, Fact] | None = None,
        detours: int = 0,
        failures: int = 0,
        operations: bool = True,
        cancel_after: int | None = None,
        checked: bool = True,
    ) -> None:
        self.play = Play(plan, policies, checked=checked)
        self.driver = Driver(self.play, self, late=True)
        self.driver.before_each = self._before_each
        self.driver.after_each = self._after_each
        self.driver.after_refusal = self._after_refusal
        self._event: CoreEvent | None = None
        self.turns: set[OperationAddress] = set()  # those that ended with calls, not with an output
        self._again: tuple[events.SubmissionIntended, str | None, int, float] | None = None
        self.provider = Provider()
        self.plan = plan
        self.choices = choices
        self.known = decisions
        self.decisions: dict[Address, Fact] = {} if decisions is None else dict(decisions)
        self.detours = detours
        self.failures = failures
        self.cancel_after = cancel_after
        self.kinds = {node.name: choices.one(KINDS if operations else ["function"]) for node in plan.nodes}
        self.after_each: Callable[[Play], object] | None = None

    def run(self) -> Play:
        """To the end: a failed run is retried until nothing is left to do."""
        self.driver.start()
        while True:
            assert len(self.play.journal) < ENDLESS, "the run does not come to an end"
            match self.play.finished:
                case RunStatus.FAILED:
                    self.driver.apply(events.RunRetried(self.play.now))
                    if self.play.commands[-1] == [c.Finish(RunStatus.FAILED)]:
                        break  # there is nothing to do: the end was skipped
                case RunStatus.SUCCEEDED | RunStatus.CANCELLED:
                    break
                case _:
                    self._step()
        while self.play.state.strays:  # these outlive the run
            if not any(
                isinstance(thing, c.CancelStray | events.StrayCancelled) for thing in self.driver.todo
            ):
                self.driver.crash()
            self.driver.do(self.choices.number(0, len(self.driver.todo) - 1))
        return self.play

    def _before_each(self, event: CoreEvent) -> None:
        """Remember what is about to be sent again, and may be paid for a second time."""
        self._again = None
        self._event = event
        if isinstance(event, events.SubmissionIntended):
            known = self.play.state.operation(event.operation)
            if known is not None and known.state is S.SUBMIT_UNKNOWN:
                self._again = (event, known.detail, known.unknown, known.trying_since or 0.0)

    def _check_again(self) -> None:
        """Only what the policy or a person has allowed is sent again after an unknown fate."""
        if self._again is None:
            return
        event, detail, unknown, since = self._again
        known = self.play.state.operation(event.operation)
        if known is None or known.state is not S.SUBMITTING:
            return
        policy = self.play.state.policy(event.operation.address.node)
        allowed = unknown <= RESUBMISSIONS and policy.on_unknown_submit == "resubmit"
        assert detail == "resubmit" or allowed or event.at < since + policy.idempotent_for

    def _after_each(self) -> None:
        self._check_again()
        operation: OperationAddress | None = getattr(self._event, "operation", None)
        if operation is not None and operation.chain:
            self._go_on(operation.address)
        if self.after_each is not None:
            self.after_each(self.play)

    def _after_refusal(self, event: CoreEvent) -> None:
        """What asked in a run that fails is told so, and goes on without it."""
        if not isinstance(event, events.SubmissionIntended | events.Opened):
            return
        if event.operation.chain and self.play.state.outcome is not None:
            self._go_on(event.operation.address)

    def _may_ask(self, percent: int) -> bool:
        """Whether something asks in another chain. In a run that fails, where that is refused, it leads nowhere."""
        if self.play.state.outcome is not None:
            return self._detour(percent)
        return self.choices.chance(percent)

    def _go_on(self, address: Address) -> None:
        """What is at work in this process sees what has become of one of its other chains."""
        activation = self.play.state.find(address)
        if activation is None or activation.own is not S.RUNNING or self.play.state.open_operation(address):
            return
        effect = at_work(activation, address)
        if effect not in self.driver.todo:
            self.driver.todo.append(effect)

    # -- what happens next -------------------------------------------------------------------------------

    def _step(self) -> None:
        driver = self.driver
        if self.cancel_after is not None and len(self.play.journal) >= self.cancel_after:
            self.cancel_after = None
            driver.apply(events.CancelRequested(self.play.now))
            return
        if self._detour(8):
            self.choices.one([driver.crash, driver.crash, self._handle_turns_up, self._new_policies])()
            return
        ways: list[Callable[[], object]] = []
        if driver.todo:
            ways += [lambda: driver.do(self.choices.number(0, len(driver.todo) - 1))] * 3
        if driver.wakes:
            ways.append(self._wake)
        held = [operation for operation in driver.held if self._is_held(operation)]
        if held:
            ways.append(lambda: self._answer(self.choices.one(held)))
        assert ways, "nothing is under way in a run that goes on"
        self.choices.one(ways)()

    def _wake(self) -> None:
        places = sorted(self.driver.wakes, key=lambda place: (self.driver.wakes[place], repr(place)))
        self.driver.wake(self.choices.one(places))
        if self._detour(10):
            self.play.now += self.choices.one([1.0, 30.0, 5_000.0])

    def _is_held(self, operation: OperationAddress) -> bool:
        known = self.play.state.operation(operation)
        return known is not None and known.state is S.SUBMIT_UNKNOWN and known.detail == "held"

    def _answer(self, operation: OperationAddress) -> None:
        jobs = [job for job in self.provider.of(operation) if not job.cancelled]
        if jobs and self.choices.chance(50):
            self._found(jobs[-1], "person")
        elif self._failure(30):
            self.driver.apply(events.FateDecided(self.play.now, operation, "fail"))
        else:
            self.driver.apply(events.FateDecided(self.play.now, operation, "resubmit"))

    def _handle_turns_up(self) -> None:
        jobs = self.provider.jobs
        if jobs:
            self._found(self.choices.one(jobs), "former_owner")

    def _found(self, job: Job, source: Source) -> None:
        rows = self.play.stored
        (row,) = (
            key
            for key, row in rows.operations.items()
            if (key.node, row.path, *key[3:]) == (*job.operation.address, *job.operation[1:])
        )
        event = events.HandleFound(
            self.play.now,
            job.operation,
            job.submission,
            source,
            job.handle,
            row.scope,
            any(
                each.key.operation == row and each.handle == job.handle for each in rows.submissions.values()
            ),
        )
        means = meaning(self.play.state, event)
        if means is None:  # it stays until that can be said
            return
        if means == "adopt":
            self.provider.handle[job.operation] = job
        self.driver.apply(event)

    def _new_policies(self) -> None:
        chosen = {
            node.name: Policy(
                concurrency=self.choices.one([None, 1]),
                retries=self.choices.number(0, 1),
                on_unknown_submit=self.choices.one(["resubmit", "hold"]),
            )
            for node in self.plan.nodes
        }
        if all(chosen[node.name].concurrency is None for node in self.plan.nodes) or self._may_shrink():
            self.driver.crash(Policies(chosen))

    def _may_shrink(self) -> bool:
        """Whether no map has begun with more items than a smaller concurrency would have let in."""
        return all(row.path == () or row.state in (S.SUCCEEDED, S.SKIPPED) for row in self.play.rows.values())

    # -- what comes of it --------------------------------------------------------------------------------

    def perform(self, driver: Driver, effect: Effect) -> CoreEvent | None:
        now = self.play.now
        match effect:
            case c.Call(address):
                return self._call(address)
            case c.CancelCall(address):
                return events.Cancelled(now, address)
            case c.EvaluateEdges(address):
                if self._failure(20):
                    return events.EdgesFailed(now, address)
                fact = self._decide(address)
                return events.EdgesDecided(now, address, fact.taken, fact.items)
            case c.Resubmit(operation):
                return events.SubmissionIntended(now, operation)
            case c.Submit(operation):
                return self._submit(operation)
            case c.Find(operation):
                return self._find(operation)
            case c.Poll(operation):
                row = self._row(operation)
                if row.state is not S.WAITING:
                    return None
                if self.play.state.policy(operation.address.node).once and row.detail is None:
                    return events.FetchStarted(now, operation)
                return self._ended(self._poll(operation, row))
            case c.Fetch(operation):
                return self._ended(self._poll(operation, self._row(operation)))
            case c.Decode(operation) if operation in self.turns and self._row(operation).state is S.SUCCEEDED:
                return self._next_turn(operation)
            case c.Decode(operation):
                if self._failure(20):
                    return self._ended(
                        events.AttemptFailed(
                            now, operation.address, ending="undecodable", operation=operation
                        )
                    )
                return self._ended(self._success(operation.address, operation))
            case c.CancelRemote(operation):
                return self._ended(self._cancel(operation))
            case c.CancelStray(operation, submission):
                rows = self.play.stored.submissions
                stray = rows[self.play.state.strays[operation, submission]]
                counting = {
                    row.handle
                    for row in rows.values()
                    if row.key.operation == stray.key.operation and row.fate == "accepted"
                }
                assert stray.handle not in counting, "what is waited for is cancelled"
                return events.StrayCancelled(now, operation, submission)
            case c.Wake() | c.Hold() | c.Finish():
                raise AssertionError(effect)
            case _:
                assert_never(effect)

    def _call(self, address: Address) -> CoreEvent | None:
        activation = self.play.state.find(address)
        if activation is None or activation.own is not S.RUNNING:
            return None
        if self.kinds[address.node] == "asks":
            return self._ask(address, activation)
        now, operation = self.play.now, OperationAddress(address, activation.attempt)
        if self._failure(15):
            return events.AttemptFailed(now, address, retryable=self.choices.chance(50))
        match self.kinds[address.node]:
            case "operation" | "agent":
                return events.SubmissionIntended(now, operation)
            case "local":
                return events.Opened(now, operation, self.choices.one([0.0, 5.0]))
            case _:
                return self._success(address, None)

    def _ask(self, address: Address, activation: Activation) -> CoreEvent | None:
        """A function goes on: it asks in one of its chains, waits, gives up, or returns, with or without waiting."""
        if self._failure(10):
            return events.AttemptFailed(self.play.now, address, retryable=self.choices.chance(50))
        open_ = {chain for chain, _ in activation.open()}
        free: list[tuple[str, int]] = []
        for chain, most in CHAINS.items():
            newest = activation.newest(chain)
            number = 0 if newest is None else newest + 1
            if chain not in open_ and number < most:
                free.append((chain, number))
        if free and self._may_ask(80):
            return self._open(OperationAddress(address, activation.attempt, *self.choices.one(free)))
        if open_ and self.choices.chance(70):
            return None
        return self._success(address, None)

    def _open(self, operation: OperationAddress) -> CoreEvent:
        if self.choices.chance(20):
            return events.Opened(self.play.now, operation, self.choices.one([0.0, 5.0]))
        return events.SubmissionIntended(self.play.now, operation)

    def _next_turn(self, last: OperationAddress) -> CoreEvent | None:
        """An agent goes on after a turn that ended with calls: it asks another agent, waits for that, or asks again."""
        activation = self.play.state.find(last.address)
        if activation is None or activation.own is not S.RUNNING:
            return None
        call = last._replace(chain=f"call {last.number}", number=0)
        if activation.newest(call.chain) is None and self._may_ask(60):
            return self._open(call)
        if activation.open() and self.choices.chance(70):
            return None
        return events.SubmissionIntended(self.play.now, last._replace(number=last.number + 1))

    def _ended(self, event: CoreEvent | None) -> CoreEvent | None:
        """What the end of an operation means: where it is of another chain, or a turn, its activation goes on."""
        match event:
            case events.Succeeded(at=at, operation=OperationAddress() as operation):
                row = self._row(operation)
                if operation.chain:
                    return events.OperationEnded(at, operation, "succeeded")
                turn = self.kinds[operation.address.node] == "agent" and operation.number + 1 < TURNS
                if turn and row.state in (S.WAITING, S.CANCELLING) and self.choices.chance(60):
                    self.turns.add(operation)
                    return events.OperationEnded(at, operation, "succeeded")
            case events.AttemptFailed(at=at, operation=OperationAddress() as operation) if operation.chain:
                return events.OperationEnded(at, operation, event.ending)
            case events.Cancelled(at=at, operation=OperationAddress() as operation) if operation.chain:
                return events.OperationEnded(at, operation, "cancelled")
            case _:
                pass
        return event

    def _submit(self, operation: OperationAddress) -> CoreEvent:
        row, now = self._row(operation), self.play.now
        policy = self.play.state.policy(operation.address.node)
        assert row.state is S.SUBMITTING
        assert row.accepted_at is None, f"{operation} is submitted again while its handle is known"
        self.provider.sent[operation] += 1
        if self._detour(20):
            return events.SubmissionRefused(
                now, operation, passing=True, retry_after=self.choices.one([None, 10.0, 10_000.0])
            )
        if self._failure(10):
            return events.SubmissionRefused(now, operation)
        if self._detour(20):  # it never got there
            return events.SubmissionUnknown(now, operation)
        job = self.provider.accept(operation, row.submission, now, honours=policy.idempotent_for)
        accepted = len(self.provider.of(operation))
        assert accepted <= 1 + row.unknown, f"{operation} is paid for {accepted} times"
        if self._detour(30):
            return events.SubmissionUnknown(now, operation, retry_after=self.choices.one([None, 50.0]))
        self.provider.handle[operation] = job
        return events.Submitted(now, operation, 0.3, job.handle)

    def _find(self, operation: OperationAddress) -> CoreEvent | None:
        row, now = self._row(operation), self.play.now
        if row.state is not S.SUBMIT_UNKNOWN:
            return None
        if self._detour(20):
            self.driver.wake_at(now + 1.0, (operation.address, operation))
            return None
        after = self.play.state.policy(operation.address.node).find_after or 0.0
        jobs = [job for job in self.provider.of(operation) if job.accepted_at + after <= now]
        if not jobs:
            return events.NothingFound(now, operation)
        self.provider.handle[operation] = jobs[0]
        return events.HandleFound(now, operation, row.submission, "found", jobs[0].handle)

    def _poll(self, operation: OperationAddress, row: OperationRecord) -> CoreEvent | None:
        now, address = self.play.now, operation.address
        once = self.play.state.policy(address.node).once
        if self._detour(30):
            way = self.choices.number(0, 2)
            if way == 0:
                self.driver.wake_at(now + 1.0, (address, operation))
                return None
            if way == 1 and row.state is S.WAITING:
                return events.TokenAdvanced(now, operation, 2.0)
            if row.state is S.WAITING:
                return events.GivenUp(now, operation, self.choices.one(["deadline", "queue"]))
        if self._failure(20):
            return events.AttemptFailed(
                now,
                address,
                ending=self.choices.one(["failed", "incomplete", "expired", "cancelled"]),
                retryable=self.choices.chance(50),
                operation=operation,
            )
        job = self.provider.handle.get(operation)
        if once and job is not None:
            if job.consumed:  # whoever had it has died
                return events.AttemptFailed(now, address, retryable=False, operation=operation)
            job.consumed = True
            return events.Fetched(now, operation)
        return self._success(address, operation)

    def _cancel(self, operation: OperationAddress) -> CoreEvent | None:
        if self._row(operation).state is not S.CANCELLING:
            return None
        now, address = self.play.now, operation.address
        if self._detour(30):
            self.driver.wake_at(now + 1.0, (address, operation))
            return None
        if self._detour(30):
            return self.choices.one(
                [
                    self._success(address, operation),
                    events.AttemptFailed(now, address, ending="cancelled", operation=operation),
                ]
            )
        job = self.provider.handle.get(operation)
        if job is not None:
            job.cancelled = True
        return events.Cancelled(now, address, operation=operation)

    def _success(self, address: Address, operation: OperationAddress | None) -> CoreEvent:
        if self._failure(10):
            return events.Succeeded(self.play.now, address, None, None, operation)
        fact = self._decide(address)
        return events.Succeeded(self.play.now, address, fact.taken, fact.items, operation)

    # -- choices -----------------------------------------------------------------------------------------

    def _row(self, operation: OperationAddress) -> OperationRecord:
        return self.play.stored.operation(operation)

    def _detour(self, percent: int) -> bool:
        if self.detours and self.choices.chance(percent):
            self.detours -= 1
            return True
        return False

    def _failure(self, percent: int) -> bool:
        if self.failures and self.choices.chance(percent):
            self.failures -= 1
            return True
        return False

    def _decide(self, address: Address) -> Fact:
        """Which edges fire and how many items there are, as a driver would find by asking the `when`s."""
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

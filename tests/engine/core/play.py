"""`Play`: a run without a driver. It is given events, keeps the rows that a driver would have committed and the journal,
and checks after each event that the promises hold.

What it knows comes from the commands alone, so a command that is missing is a row that is missing.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from perdure.checkpoints.codec import pack, unpack
from perdure.checkpoints.records import (
    ActivationKey,
    ActivationRecord,
    OperationKey,
    OperationRecord,
    RunStatus,
    State,
)
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress, parse_address
from perdure.engine.core.commands import Call, Command, Decode, Finish, Save
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.journal import from_journal, to_journal
from perdure.engine.core.machine import advance
from perdure.engine.core.pending import pending
from perdure.engine.core.plan import EdgeKind, Plan
from perdure.engine.core.policy import NO_POLICIES, Policies
from perdure.engine.core.restore import restore
from perdure.engine.core.sources import (
    Ambiguous,
    Collected,
    Item,
    Joined,
    RunInput,
    Whole,
    delivered,
    given,
)
from perdure.engine.core.state import RunState

from ..oracle import Fact, Input
from .promises import check_commands, check_now, check_retry, check_whole
from .rows import LIVE, Rows

S = State


def at(text: str) -> Address:
    """`at("check[1, 4]")`: the address that people see so."""
    address = parse_address(text)
    assert address is not None, text
    return address


@dataclass
class Entry:
    """One line of the journal, as it is stored."""

    word: str
    at: float
    node: str | None
    path: tuple[int, ...]
    data: bytes

    def event(self) -> CoreEvent:
        """The event, read back."""
        return from_journal(self.word, self.at, self.node, self.path, unpack(self.data))


@dataclass
class Before:
    """What was before the event that is checked."""

    states: dict[Address, State] = field(default_factory=dict[Address, State])
    pending: list[Command] = field(default_factory=list[Command])


class Play:
    """One run. `checked` compares it after each event with the oracle and with what can be restored of it."""

    def __init__(self, plan: Plan, policies: Policies = NO_POLICIES, *, checked: bool = True) -> None:
        self.plan = plan
        self.policies = policies
        self.state = RunState(plan=plan)
        self.now = 1_000.0
        self.checked = checked
        self.stored = Rows()
        self.journal: list[Entry] = []
        self.commands: list[list[Command]] = []
        self.calls: Counter[tuple[Address, int]] = Counter()
        self.got: dict[Address, Input] = {}
        self.successes: Counter[Address] = Counter()
        self.finished: RunStatus | None = None

    # -- what happens ------------------------------------------------------------------------------------

    def apply(self, event: CoreEvent) -> list[Command]:
        """Advance by the event and write down what follows."""
        before = Before({a: row.state for a, row in self.rows.items()})
        if self.checked:
            before.pending = self.pending()
        if isinstance(event, events.RunRetried):
            self._forget_parked()
        commands = advance(self.state, event)
        self.commands.append(commands)
        self.stored.write(commands, status=self.state.status, outcome=self.state.outcome)
        self._write(event)
        if not isinstance(
            event, events.HandleFound | events.StrayCancelled
        ):  # these happen to ended runs too
            self.finished = None
        for command in commands:
            self._look_at(command)
        match event:
            case events.Succeeded(address=address):
                self.successes[address] += 1
            case events.RunRetried():
                check_retry(self, commands)
            case _:
                pass
        check_now(self)
        if self.checked:
            check_commands(self, before, event, commands)
            check_whole(self)
        return commands

    def begin(self) -> Play:
        self.apply(events.RunStarted(self.now, self.policies))
        return self

    def succeed(self, *which: str, taken: tuple[int, ...] = (), items: int | None = None) -> None:
        for text in which:
            operation = self.state.open_operation(at(text))
            self.apply(events.Succeeded(self.now, at(text), taken, items, operation))

    def succeed_undecided(self, which: str) -> None:
        """It succeeds, and its edges can't be evaluated."""
        self.apply(events.Succeeded(self.now, at(which), None, None, self.state.open_operation(at(which))))

    def decide(self, which: str, *, taken: tuple[int, ...] = ()) -> None:
        self.apply(events.EdgesDecided(self.now, at(which), taken))

    def fail(self, which: str, *, retryable: bool = False) -> None:
        """Its attempt fails; for good unless `retryable` and there are retries left."""
        operation = self.state.open_operation(at(which))
        self.apply(events.AttemptFailed(self.now, at(which), retryable=retryable, operation=operation))

    def back_off(self, which: str) -> None:
        """Its attempt fails and another one is to follow."""
        self.fail(which, retryable=True)
        assert self.of(which) == "backoff", "give it retries"

    def cancelled(self, *which: str) -> None:
        for text in which:
            operation = self.state.open_operation(at(text))
            self.apply(events.Cancelled(self.now, at(text), operation=operation))

    def cancel(self) -> None:
        self.apply(events.CancelRequested(self.now))

    def retry(self) -> None:
        self.apply(events.RunRetried(self.now))

    def intend(self, which: str) -> None:
        self.apply(events.SubmissionIntended(self.now, self.operation(which)))

    def accept(self, which: str) -> None:
        self.apply(events.Submitted(self.now, self.operation(which)))

    def submit(self, *which: str) -> None:
        """From running to waiting, by way of an intent and a handle."""
        for text in which:
            self.intend(text)
            self.accept(text)

    def lose(self, which: str) -> None:
        """The intent is there, the handle is not."""
        self.intend(which)
        self.apply(events.SubmissionUnknown(self.now, self.operation(which)))

    def refuse(self, which: str, *, passing: bool = False) -> None:
        self.apply(events.SubmissionRefused(self.now, self.operation(which), passing=passing))

    def crash(self) -> None:
        """Forget the state and load it again from the rows."""
        self.state = self.restored()

    # -- what can be seen --------------------------------------------------------------------------------

    @property
    def rows(self) -> dict[Address, ActivationRecord]:
        """The activations that are stored."""
        return self.stored.by_address()

    def operation(self, which: str, chain: str = "", number: int = 0) -> OperationAddress:
        """An operation of the activation's current attempt (default: its own chain's first)."""
        address = at(which)
        row = self.rows.get(address)
        return OperationAddress(address, 1 if row is None else row.attempt, chain, number)

    def ask(self, which: str, *chains: str, number: int = 0) -> None:
        """An operation of each of these chains is submitted, and waits."""
        for chain in chains:
            operation = self.operation(which, chain, number)
            self.apply(events.SubmissionIntended(self.now, operation))
            self.apply(events.Submitted(self.now, operation))

    def end(
        self, which: str, chain: str, ending: events.OperationEnding = "succeeded", *, number: int = 0
    ) -> None:
        """An operation ends, its activation goes on."""
        self.apply(events.OperationEnded(self.now, self.operation(which, chain, number), ending))

    def states(self) -> dict[str, str]:
        """Every activation that ever was, by the name that people see."""
        return {str(address): row.state.value for address, row in self.rows.items()}

    def of(self, which: str) -> str | None:
        """The state of one activation; None while there is none."""
        row = self.rows.get(at(which))
        return None if row is None else row.state.value

    def last(self, *kinds: type[Any]) -> list[str]:
        """What the last event's commands of these kinds are about, in order."""
        about: list[Any] = [command for command in self.commands[-1] if isinstance(command, kinds)]
        return [str(getattr(command, "operation", None) or command.address) for command in about]

    def undecided(self) -> list[Address]:
        """What has succeeded and whose edges are not decided."""
        return [a for a, row in self.rows.items() if row.state is S.SUCCEEDED and row.taken is None]

    def live(self) -> list[Address]:
        """What can still move by itself or from outside."""
        return [address for address, row in self.rows.items() if row.state in LIVE]

    def remaining(self) -> list[OperationRecord]:
        """The operations that go on after their activation has ended."""
        return self.stored.remaining()

    @property
    def ending(self) -> bool:
        """Whether what is under way is to be cancelled."""
        outcome = self.state.outcome
        return outcome is RunStatus.CANCELLED or (
            outcome is RunStatus.FAILED and self.plan.on_failure == "cancel"
        )

    def pending(self) -> list[Command]:
        """What is to be done as the core says."""
        return list(pending(self.state))

    def facts(self) -> dict[Address, Fact]:
        return {
            address: Fact(row.taken, row.items)
            for address, row in self.rows.items()
            if row.state is S.SUCCEEDED and row.taken is not None
        }

    def events(self) -> list[CoreEvent]:
        """The journal, read back."""
        return [entry.event() for entry in self.journal]

    def words(self) -> list[str]:
        """The journal as people see it: `succeeded research[1]`."""
        return [
            entry.word if entry.node is None else f"{entry.word} {Address(entry.node, entry.path)}"
            for entry in self.journal
        ]

    def snapshot(self) -> RunState:
        """A copy that later events do not touch."""
        return copy.deepcopy(
            self.state, {id(self.plan): self.plan, id(self.state.policies): self.state.policies}
        )

    def restored(self) -> RunState:
        """The state from the rows of open scopes alone."""
        return restore(self.plan, self.state.policies, self.stored.loaded())

    # -- what a driver does ------------------------------------------------------------------------------

    def _write(self, event: CoreEvent) -> None:
        word, node, path, data = to_journal(event)
        entry = Entry(word, event.at, node, path, pack(dict(data)))
        assert entry.event() == event, "the journal says something else"
        self.journal.append(entry)
        kept = isinstance(event, events.Fetched) or (
            isinstance(event, events.AttemptFailed | events.OperationEnded)
            and event.ending in ("succeeded", "undecodable")
        )
        if kept:
            assert isinstance(event, events.Fetched | events.AttemptFailed | events.OperationEnded)
            assert event.operation is not None
            self.stored.keep_outcome(OperationKey(*self._key(event.operation.address), *event.operation[1:]))

    def _key(self, address: Address) -> ActivationKey:
        return self.rows[address].key

    def _look_at(self, command: Command) -> None:
        match command:
            case Call(address):
                self._call(address)
            case Decode(operation):
                assert self.stored.operation(operation).has_outcome, f"nothing is stored of {operation}"
            case Finish(status):
                assert self.finished is None
                self.finished = status
            case _:
                assert not isinstance(command, Save) or command

    def _forget_parked(self) -> None:
        """What ran while only unknown fates were open of it, or was held back before it submitted anything, is called
        again by a retry: the run had ended."""
        for row in self.stored.activations.values():
            if row.state in (S.RUNNING, S.READY) and self.state.ended:
                del self.calls[Address(row.key.node, row.path), row.attempt]

    def _call(self, address: Address) -> None:
        row = self.rows[address]
        self.calls[address, row.attempt] += 1
        assert self.calls[address, row.attempt] == 1, f"attempt {row.attempt} of {address} is called twice"
        assert not self.successes[address], f"{address} is called after it succeeded"
        got = self._input(address)
        assert self.got.setdefault(address, got) == got, f"{address} gets another input when tried again"

    def _input(self, address: Address) -> Input:
        """The input as a driver finds it, by address."""
        source = given(self.state, address)
        match source:
            case RunInput():
                return ()
            case Whole(key=key):
                return (self.stored.address(key),)
            case Item(key=key, place=index):
                return (self.stored.address(key), index)
            case Joined(positions):
                return tuple(None if one is None else self.stored.address(one.key) for one in positions)
            case Collected(name, scope):
                return (self._collected(name, scope),)
            case Ambiguous():
                return tuple(
                    self._collected(edge.source, self.state.numbers[edge.scope, address.path])
                    if edge.kind is EdgeKind.COLLECT and edge.scope is not None
                    else Address(edge.source, address.path)
                    for edge in delivered(self.state, address)
                )

    def _collected(self, name: str, scope: int) -> tuple[Address, ...]:
        found = [
            (row.key.item, address)
            for address, row in self.rows.items()
            if (row.key.scope, row.key.node) == (scope, name) and row.state is S.SUCCEEDED
        ]
        return tuple(address for _, address in sorted(found))

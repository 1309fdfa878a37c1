"""`Play`: a driver without effects. It feeds events to the scheduler, keeps the rows that a real driver would
have committed, and checks after each event that the promises hold.

What it knows comes from the commands alone, so a command that is missing is a row that is missing.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace

from perdure.checkpoints import ActivationState, RunStatus, ScopeRecord, pack, unpack
from perdure.engine.commands import Cancel, Command, Decide, Finish, Save, SaveScope, Settle, Start
from perdure.engine.events import (
    NAMES,
    Address,
    Cancelled,
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
    from_journal,
    to_data,
)
from perdure.engine.plan import EdgeKind, Plan
from perdure.engine.restore import restore
from perdure.engine.scheduler import advance, inputs
from perdure.engine.state import State

from .oracle import Fact, Input
from .promises import check_now, check_retry, check_whole
from .rows import LIVE, Row, Rows

S = ActivationState


def at(text: str) -> Address:
    """`at("check[1, 4]")`: the address that people see so."""
    match = re.fullmatch(r"(\w+)(?:\[([\d, ]+)\])?", text)
    assert match is not None, text
    return Address(match[1], tuple(map(int, match[2].split(","))) if match[2] else ())


class Play:
    """One run. `checked` compares it with the oracle and with `restore` after each event."""

    def __init__(self, plan: Plan, *, checked: bool = True) -> None:
        self.plan = plan
        self.state = State(plan=plan)
        self.checked = checked
        self.stored = Rows()
        self.journal: list[tuple[str, str | None, tuple[int, ...], bytes]] = []
        self.commands: list[list[Command]] = []
        self.starts: Counter[tuple[Address, int]] = Counter()
        self.got: dict[Address, Input] = {}
        self.successes: Counter[Address] = Counter()
        self.to_decide: set[Address] = set()
        self.finished: RunStatus | None = None

    # -- what happens ------------------------------------------------------------------------------------

    def apply(self, event: Event) -> list[Command]:
        before = {address: row.state for address, row in self.rows.items()}
        commands = advance(self.state, event)
        self.commands.append(commands)
        self._write(event)
        self.finished = None
        for command in commands:
            self._carry_out(command, before)
        match event:
            case Succeeded(address):
                self.successes[address] += 1
            case EdgesDecided(address) | EdgesFailed(address):
                self.to_decide.discard(address)
            case RunRetried():
                check_retry(self, commands)
            case _:
                pass
        check_now(self)
        if self.checked:
            check_whole(self)
        return commands

    def begin(self) -> Play:
        self.apply(RunStarted())
        return self

    def succeed(self, *which: str, taken: tuple[int, ...] = (), items: int | None = None) -> None:
        for text in which:
            self.apply(Succeeded(at(text), taken, items))

    def fail(self, which: str) -> None:
        self.apply(Failed(at(which)))

    def cancelled(self, *which: str) -> None:
        for text in which:
            self.apply(Cancelled(at(text)))

    def retry(self) -> None:
        self.apply(RunRetried())

    def submit(self, *which: str) -> None:
        """From running to waiting, by way of an intent and a handle."""
        for text in which:
            self.apply(SubmissionIntended(at(text)))
            self.apply(Submitted(at(text)))

    def lose(self, which: str) -> None:
        """From running to submit_unknown: the intent is there, the handle is not."""
        self.apply(SubmissionIntended(at(which)))
        self.apply(SubmissionUnknown(at(which)))

    def crash(self) -> None:
        """Forget the state and load it again from the rows."""
        self.state = self.restored()

    # -- what can be seen --------------------------------------------------------------------------------

    @property
    def rows(self) -> dict[Address, Row]:
        """The activations that are stored."""
        return self.stored.activations

    def states(self) -> dict[str, str]:
        """Every activation that ever was, by the name that people see."""
        return {str(address): row.state.value for address, row in self.rows.items()}

    def of(self, which: str) -> str | None:
        """The state of one activation; None while there is none."""
        row = self.rows.get(at(which))
        return None if row is None else row.state.value

    def last(self, *kinds: type[Command]) -> list[str]:
        """The activations that the last event's commands of these kinds are about, in order."""
        return [
            str(command.address)
            for command in self.commands[-1]
            if isinstance(command, kinds) and not isinstance(command, SaveScope | Finish)
        ]

    def live(self) -> list[Address]:
        """What can still move by itself or from outside."""
        return [address for address, row in self.rows.items() if row.state in LIVE]

    @property
    def ending(self) -> bool:
        """Whether what is under way is to be cancelled."""
        outcome = self.state.outcome
        return outcome is RunStatus.CANCELLED or (
            outcome is RunStatus.FAILED and self.plan.on_failure == "cancel"
        )

    def facts(self) -> dict[Address, Fact]:
        return {
            address: Fact(row.taken, row.items)
            for address, row in self.rows.items()
            if row.state is S.SUCCEEDED and row.taken is not None
        }

    def events(self) -> list[Event]:
        """The journal, read back."""
        return [from_journal(name, node, path, unpack(data)) for name, node, path, data in self.journal]

    def snapshot(self) -> State:
        """A copy that later events do not touch."""
        return copy.deepcopy(self.state, {id(self.plan): self.plan})

    def restored(self) -> State:
        """The state from the rows of open scopes alone."""
        rows = self.stored
        return restore(self.plan, self.state.outcome, rows.scope_records(), rows.activation_records())

    # -- what a driver does ------------------------------------------------------------------------------

    def _write(self, event: Event) -> None:
        address = getattr(event, "address", None)
        assert address is None or isinstance(address, Address)
        self.journal.append(
            (
                NAMES[type(event)],
                None if address is None else address.node,
                () if address is None else address.path,
                pack(to_data(event)),
            )
        )

    def _carry_out(self, command: Command, before: dict[Address, ActivationState]) -> None:
        match command:
            case Save(address, activation, key):
                known = self.rows.get(address)
                assert known is None or known.key == key, f"{address} moved from one row to another"
                self.rows[address] = Row(
                    key, activation.state, activation.attempt, activation.taken, activation.items
                )
            case SaveScope(scope, is_open):
                assert scope.parent is not None
                record = ScopeRecord(
                    number=scope.number,
                    scope=scope.scope,
                    parent=scope.parent,
                    path=scope.path,
                    size=scope.size,
                    open=is_open,
                )
                known = self.stored.scopes.get(scope.number)
                assert known == (None if is_open else replace(record, open=True))
                self.stored.scopes[scope.number] = record
            case Start(address):
                self._start(address)
            case Settle(address):
                assert self.rows[address].state is S.SUBMIT_UNKNOWN
            case Decide(address):
                assert self.rows[address].undecided
                self.to_decide.add(address)
            case Cancel(address):
                assert self.rows[address].state is S.CANCELLING
                assert before.get(address) is not S.CANCELLING, f"{address} is cancelled twice"
            case Finish(status):
                assert self.finished is None
                self.finished = status

    def _start(self, address: Address) -> None:
        row = self.rows[address]
        self.starts[address, row.attempt] += 1
        assert self.starts[address, row.attempt] == 1, f"attempt {row.attempt} of {address} starts twice"
        assert not self.successes[address], f"{address} starts after it succeeded"
        got = self._input(address)
        assert self.got.setdefault(address, got) == got, f"{address} gets another input when tried again"

    def _input(self, address: Address) -> Input:
        """The input as a driver finds it: by the edges that delivered, and the rows of what is collected."""
        delivered, incoming = inputs(self.state, address), self.plan.incoming[address.node]
        if incoming and incoming[0].kind is EdgeKind.MAP:
            return (Address(incoming[0].source, address.path[:-1]), address.path[-1])
        depth = {node.name: self.plan.scopes[node.scope].depth for node in self.plan.nodes}
        got: list[object] = []
        for edge in incoming if incoming and incoming[0].kind is EdgeKind.JOIN else delivered:
            if edge not in delivered:
                got.append(None)
            elif edge.kind is EdgeKind.COLLECT and edge.scope is not None:
                number = self.state.numbers[edge.scope, address.path]
                found = [
                    (row.key.item, item)
                    for item, row in self.rows.items()
                    if (row.key.scope, row.key.node) == (number, edge.source) and row.state is S.SUCCEEDED
                ]
                got.append(tuple(item for _, item in sorted(found)))
            else:
                source = Address(edge.source, address.path[: depth[edge.source]])
                assert self.rows[source].key == self.state.key(source)
                got.append(source)
        return tuple(got)

"""`Play`: a driver without effects. It feeds events to the scheduler, keeps the rows that a real driver would
have committed, and checks after each event that the promises hold.

What it knows comes from the commands alone, so a command that is missing is a row that is missing.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass, replace

import msgpack
from perdure.checkpoints import ActivationKey, ActivationRecord, ActivationState, RunStatus, ScopeRecord
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
from perdure.engine.scheduler import (
    Cancel,
    Command,
    Decide,
    Finish,
    Save,
    SaveScope,
    Settle,
    Start,
    advance,
    inputs,
)
from perdure.engine.state import State

from .oracle import Fact, Input, Oracle, Verdict

S = ActivationState
LIVE = (S.RUNNING, S.SUBMITTING, S.SUBMIT_UNKNOWN, S.WAITING, S.BACKOFF, S.CANCELLING)


def at(text: str) -> Address:
    """`at("check[1, 4]")`: the address that people see so."""
    match = re.fullmatch(r"(\w+)(?:\[([\d, ]+)\])?", text)
    assert match is not None, text
    return Address(match[1], tuple(map(int, match[2].split(","))) if match[2] else ())


@dataclass
class Row:
    """An activation as the commands said that it must be stored."""

    key: ActivationKey
    state: ActivationState
    attempt: int
    taken: tuple[int, ...] | None
    items: int | None

    @property
    def undecided(self) -> bool:
        return self.state is S.SUCCEEDED and self.taken is None


class Play:
    """One run. `checked` compares it with the oracle and with `restore` after each event."""

    def __init__(self, plan: Plan, *, checked: bool = True) -> None:
        self.plan = plan
        self.state = State(plan=plan)
        self.checked = checked
        self.rows: dict[Address, Row] = {}
        self.scopes: dict[int, ScopeRecord] = {}
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
            case _:
                pass
        self._check_end()
        if self.checked:
            self.check()
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
        return [
            from_journal(type, node, path, msgpack.unpackb(data)) for type, node, path, data in self.journal
        ]

    def snapshot(self) -> State:
        """A copy that later events do not touch."""
        return copy.deepcopy(self.state, {id(self.plan): self.plan})

    def restored(self) -> State:
        """The state from the rows of open scopes alone, as a store hands them out at recovery."""
        is_open = {0, *(number for number, record in self.scopes.items() if record.open)}
        newest = max(self.scopes, default=0)
        return restore(
            self.plan,
            self.state.outcome,
            [
                record
                for number, record in sorted(self.scopes.items())
                if record.open or record.parent in is_open or number == newest
            ],
            [
                _record(address, row)
                for address, row in sorted(self.rows.items(), key=lambda entry: str(entry[1].key))
                if row.key.scope in is_open
            ],
        )

    # -- what a driver does ------------------------------------------------------------------------------

    def _write(self, event: Event) -> None:
        address = getattr(event, "address", None)
        assert address is None or isinstance(address, Address)
        self.journal.append(
            (
                NAMES[type(event)],
                None if address is None else address.node,
                () if address is None else address.path,
                msgpack.packb(to_data(event)),
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
                known = self.scopes.get(scope.number)
                assert known == (None if is_open else replace(record, open=True))
                self.scopes[scope.number] = record
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

    # -- what must hold ----------------------------------------------------------------------------------

    def _check_end(self) -> None:
        """A run is finished exactly when nothing of it can move, and then it says so."""
        live: list[object] = list(self.live())
        if self.state.outcome is RunStatus.FAILED:  # these are parked until a retry
            live = [address for address in self.live() if self.rows[address].state is not S.SUBMIT_UNKNOWN]
        if self.state.outcome is None:
            live += [address for address, row in self.rows.items() if row.undecided]
        assert bool(live) == (self.finished is None), f"{live} are live, and the run is {self.finished}"
        assert self.state.live == len(live)
        assert self.finished in (None, self.state.outcome)
        if self.ending:
            states = {row.state for row in self.rows.values()}
            assert not states & {S.RUNNING, S.WAITING, S.BACKOFF}, "something was not cancelled"
        if self.state.outcome is RunStatus.CANCELLED:
            assert not any(row.state in (S.READY, S.SUBMIT_UNKNOWN) for row in self.rows.values())

    def check(self) -> None:
        """The rows are what the oracle says, open scopes those in which something can move, and a state that
        is restored from the rows is the one that is live."""
        oracle = Oracle(self.plan, self.facts())
        unseen = dict(self.rows)
        for address in oracle.addresses():
            self._check_one(oracle.verdict(address), address, unseen.pop(address, None))
            if address in self.got:
                assert self.got[address] == oracle.input(address)
        assert not unseen, f"{list(unseen)} should not be there"
        self._check_limits(oracle)
        instances = oracle.instances()
        assert {(r.scope, r.path): r.open for r in self.scopes.values()} == instances
        assert {(scope.scope, scope.path) for scope in self.state.scopes.values()} == {
            (0, ()),
            *(instance for instance, is_open in instances.items() if is_open),
        }
        assert self.restored() == self.state

    def _check_one(self, verdict: Verdict, address: Address, row: Row | None) -> None:
        state = None if row is None else row.state
        match verdict:
            case Verdict.NOT_YET:
                assert row is None, f"{address} is {state} before its inputs are decided"
            case Verdict.SKIPPED:
                assert state is S.SKIPPED, f"{address} is {state}, and none of its inputs will come"
            case Verdict.SUCCEEDED:
                assert state is S.SUCCEEDED
            case Verdict.DUE:
                if row is None:
                    mapped = [e.limit for e in self.plan.incoming[address.node] if e.kind is EdgeKind.MAP]
                    held_back = bool(mapped) and (mapped[0] is not None or self.state.outcome is not None)
                    assert held_back, f"{address} waits for nothing"
                else:
                    assert row.undecided or state not in (S.SKIPPED, S.SUCCEEDED)
                    if self.state.outcome is None:
                        assert row.undecided or state in LIVE, f"{address} is {state} in a run that goes on"

    def _check_limits(self, oracle: Oracle) -> None:
        for scope, path in oracle.instances():
            entry = self.plan.scopes[scope].edge
            assert entry is not None
            edge = self.plan.edges[entry]
            size = self.facts()[Address(edge.source, path)].items
            rows = [self.rows.get(Address(edge.target, (*path, item))) for item in range(size or 0)]
            under_way = [row for row in rows if row is not None and not row.state.terminal]
            assert edge.limit is None or len(under_way) <= edge.limit
            if None in rows:
                assert not any(rows[rows.index(None) :]), "items are started in order"
                assert self.state.outcome is not None or len(under_way) == edge.limit, (
                    "there is room for more"
                )


def _record(address: Address, row: Row) -> ActivationRecord:
    return ActivationRecord(
        run=1,
        key=row.key,
        path=address.path,
        state=row.state,
        attempt=row.attempt,
        submission=0,
        unknown=0,
        wake_at=None,
        started_at=0.0,
        updated_at=0.0,
        taken=None if row.taken is None else msgpack.packb(row.taken),
        items=row.items,
        token=None,
        error=None,
        usage=None,
        has_result=row.state is S.SUCCEEDED,
        has_request=False,
    )

"""What must hold after every event of every run, whatever its graph and its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from perdure.checkpoints.records import ActivationRecord, OperationRecord, RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.addresses import Address
from perdure.engine.core.commands import (
    Call,
    Command,
    Decode,
    EvaluateEdges,
    Fetch,
    Finish,
    Hold,
    Save,
    Submit,
    Wake,
)
from perdure.engine.core.pending import idle_wakes, moment
from perdure.engine.core.plan import EdgeKind, Plan
from perdure.engine.core.state import RunState

from ..oracle import Fact, Oracle, Verdict
from .rows import LIVE, Rows

S = State


class Played(Protocol):
    """A run in play."""

    @property
    def plan(self) -> Plan: ...
    @property
    def state(self) -> RunState: ...
    @property
    def stored(self) -> Rows: ...
    @property
    def rows(self) -> Mapping[Address, ActivationRecord]: ...
    @property
    def got(self) -> Mapping[Address, tuple[object, ...]]: ...
    @property
    def finished(self) -> RunStatus | None: ...
    @property
    def ending(self) -> bool: ...
    def undecided(self) -> list[Address]: ...
    def live(self) -> list[Address]: ...
    def remaining(self) -> list[OperationRecord]: ...
    def facts(self) -> Mapping[Address, Fact]: ...
    def pending(self) -> list[Command]: ...
    def restored(self) -> RunState: ...


class Earlier(Protocol):
    """The run as it was."""

    @property
    def states(self) -> Mapping[Address, State]: ...
    @property
    def pending(self) -> Sequence[Command]: ...


def check_now(play: Played) -> None:
    """A run is finished exactly when nothing of it can move, and then it says so."""
    live: list[object] = [*play.live(), *play.remaining()]
    if play.state.outcome is RunStatus.FAILED:  # these are parked until a retry
        live = [address for address in play.live() if play.rows[address].state is not S.SUBMIT_UNKNOWN]
        live += [row for row in play.remaining() if row.state is not S.SUBMIT_UNKNOWN]
    if play.state.outcome is None:
        live += play.undecided()
    assert bool(live) == (play.finished is None), f"{live} are live, and the run is {play.finished}"
    assert play.state.live == len(live)
    assert play.finished in (None, play.state.outcome)
    states = {row.state for row in play.rows.values()}
    states |= {state for opened in play.stored.opened().values() for state in opened}
    for row in play.remaining():
        if play.stored.activations[row.key.activation].state is S.SUCCEEDED:
            assert row.state in (S.SUBMITTING, S.CANCELLING), f"{row.key} goes on for nobody"
    if play.state.outcome is not None:
        assert S.BACKOFF not in states, "something is to be tried again in a run that ends"
    if play.ending:
        assert not states & {S.RUNNING, S.WAITING}, "something was not cancelled"
    if play.state.outcome is RunStatus.CANCELLED:
        assert not states & {S.READY, S.SUBMIT_UNKNOWN}


def check_retry(play: Played, commands: list[Command]) -> None:
    """A retry leaves nothing behind: what can start has started, what is undecided is to be decided."""
    rows = play.rows.items()
    if play.state.outcome is not None:  # an unknown fate, where the policy is to fail
        assert not [command for command in commands if isinstance(command, Call | Decode | EvaluateEdges)]
        return
    stopped = (S.FAILED, S.CANCELLED, S.READY)
    assert not [address for address, row in rows if row.state in stopped]
    assert {
        (command.operation.address, *command.operation[1:])
        for command in commands
        if isinstance(command, Hold | Wake) and command.operation is not None
    } == {
        (Address(row.key.node, row.path), *row.key[3:])
        for row in play.stored.operations.values()
        if row.state is S.SUBMIT_UNKNOWN
    }
    assert {command.address for command in commands if isinstance(command, EvaluateEdges)} == set(
        play.undecided()
    )
    goes_on = any(isinstance(command, Call | Decode | Wake | Hold | EvaluateEdges) for command in commands)
    assert goes_on == (play.finished is None)


def check_commands(play: Played, before: Earlier, event: events.CoreEvent, commands: list[Command]) -> None:
    """What an event asks for is what is pending after it, no more and no less: resumed runs go the live way."""
    asked = [command for command in commands if not isinstance(command, Save)]
    pending = play.pending()
    for command in pending:
        assert command in before.pending or command in asked, f"{command} is pending and nobody was told"
    for command in asked:
        match command:
            case Submit(operation):
                assert play.stored.operation(operation).state is S.SUBMITTING
                assert play.state.outcome is None, f"{operation} is submitted in a run that ends"
            case Fetch(operation):
                assert play.stored.operation(operation).detail == "fetching"
            case Call(address) if command not in pending:
                assert play.rows[address].state is S.CANCELLING, f"{command} is asked for and not pending"
            case _:
                assert command in pending, f"{command} is asked for and not pending"
    wakes = idle_wakes(play.stored.status, *play.stored.live())
    if wakes is not None:
        asked_for = [moment(play.state, command) for command in pending if isinstance(command, Wake)]
        assert len(asked_for) == len(pending), "a run that only waits has more to do"
        assert sorted(map(repr, wakes)) == sorted(map(repr, asked_for)), "not all of what waits is found"
    if not isinstance(event, events.RunRetried):
        for address, was in before.states.items():
            if was in (S.SUCCEEDED, S.SKIPPED, S.FAILED, S.CANCELLED):
                assert play.rows[address].state is was, f"{address} was {was} and moved"
    if play.finished is None:
        moving = [row for row in play.stored.operations.values() if row.state is S.SUBMITTING]
        assert moving or pending, "nothing is under way in a run that goes on"
    else:
        assert Finish(play.finished) in pending


def check_whole(play: Played) -> None:
    """The rows are what the oracle says, open scopes those in which something can move, and a state that
    is restored from the rows is the one that is live."""
    oracle = Oracle(play.plan, play.facts())
    unseen = dict(play.rows)
    for address in oracle.addresses():
        verdict = oracle.verdict(address)
        _check_one(play, verdict, address, unseen.pop(address, None))
        if verdict is Verdict.DUE and address in play.got:
            assert play.got[address] == oracle.input(address)
    assert not unseen, f"{list(unseen)} should not be there"
    instances = oracle.instances()
    for scope, path in instances:
        _check_concurrency(play, oracle, scope, path)
    instances = {one: is_open or one in play.stored.held_open() for one, is_open in instances.items()}
    assert {(r.scope, r.path): r.open for r in play.stored.scopes.values()} == instances
    assert {(scope.scope, scope.path) for scope in play.state.scopes.values()} == {
        (0, ()),
        *(instance for instance, is_open in instances.items() if is_open),
    }
    assert play.restored() == play.state


def _check_one(play: Played, verdict: Verdict, address: Address, row: ActivationRecord | None) -> None:
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
                mapped = any(e.kind is EdgeKind.MAP for e in play.plan.incoming[address.node])
                few = play.state.policy(address.node).concurrency is not None
                assert mapped, f"{address} waits for nothing"
                assert few or play.state.outcome is not None, f"{address} waits for nothing"
            else:
                undecided = state is S.SUCCEEDED and row.taken is None
                assert undecided or state not in (S.SKIPPED, S.SUCCEEDED)
                if play.state.outcome is None:
                    assert undecided or state in LIVE, f"{address} is {state} in a run that goes on"


def _check_concurrency(play: Played, oracle: Oracle, scope: int, path: tuple[int, ...]) -> None:
    entry = play.plan.scopes[scope].edge
    assert entry is not None
    edge = play.plan.edges[entry]
    most = play.state.policy(edge.target).concurrency
    size = oracle.facts[Address(edge.source, path)].items
    rows = [play.rows.get(Address(edge.target, (*path, item))) for item in range(size or 0)]
    under_way = [row for row in rows if row is not None and not row.state.terminal]
    assert most is None or len(under_way) <= most
    if None in rows:
        assert not any(rows[rows.index(None) :]), "items are started in order"
        assert play.state.outcome is not None or len(under_way) == most, "there is room for more"

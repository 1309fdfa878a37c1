"""What must hold after every event of every run, whatever its graph and its course."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.checkpoints import ActivationState, RunStatus
from perdure.engine.commands import Command, Decide, Settle, Start
from perdure.engine.events import Address
from perdure.engine.plan import EdgeKind

from .oracle import Oracle, Verdict
from .rows import LIVE, Row

if TYPE_CHECKING:
    from .play import Play

S = ActivationState


def check_now(play: Play) -> None:
    """A run is finished exactly when nothing of it can move, and then it says so."""
    live: list[object] = list(play.live())
    if play.state.outcome is RunStatus.FAILED:  # these are parked until a retry
        live = [address for address in play.live() if play.rows[address].state is not S.SUBMIT_UNKNOWN]
    if play.state.outcome is None:
        live += [address for address, row in play.rows.items() if row.undecided]
    assert bool(live) == (play.finished is None), f"{live} are live, and the run is {play.finished}"
    assert play.state.live == len(live)
    assert play.finished in (None, play.state.outcome)
    if play.ending:
        states = {row.state for row in play.rows.values()}
        assert not states & {S.RUNNING, S.WAITING, S.BACKOFF}, "something was not cancelled"
    if play.state.outcome is RunStatus.CANCELLED:
        assert not any(row.state in (S.READY, S.SUBMIT_UNKNOWN) for row in play.rows.values())


def check_retry(play: Play, commands: list[Command]) -> None:
    """A retry leaves nothing behind: what can start has started, what is undecided is to be decided."""
    rows = play.rows.items()
    stopped = (S.FAILED, S.CANCELLED, S.READY)
    assert not [address for address, row in rows if row.state in stopped]
    assert {command.address for command in commands if isinstance(command, Settle)} == {
        address for address, row in rows if row.state is S.SUBMIT_UNKNOWN
    }
    assert {command.address for command in commands if isinstance(command, Decide)} == {
        address for address, row in rows if row.undecided
    }
    goes_on = any(isinstance(command, Start | Settle | Decide) for command in commands)
    assert goes_on == (play.finished is None)


def check_whole(play: Play) -> None:
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
        _check_limit(play, oracle, scope, path)
    assert {(r.scope, r.path): r.open for r in play.stored.scopes.values()} == instances
    assert {(scope.scope, scope.path) for scope in play.state.scopes.values()} == {
        (0, ()),
        *(instance for instance, is_open in instances.items() if is_open),
    }
    assert play.restored() == play.state


def _check_one(play: Play, verdict: Verdict, address: Address, row: Row | None) -> None:
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
                mapped = [e.limit for e in play.plan.incoming[address.node] if e.kind is EdgeKind.MAP]
                held_back = bool(mapped) and (mapped[0] is not None or play.state.outcome is not None)
                assert held_back, f"{address} waits for nothing"
            else:
                assert row.undecided or state not in (S.SKIPPED, S.SUCCEEDED)
                if play.state.outcome is None:
                    assert row.undecided or state in LIVE, f"{address} is {state} in a run that goes on"


def _check_limit(play: Play, oracle: Oracle, scope: int, path: tuple[int, ...]) -> None:
    entry = play.plan.scopes[scope].edge
    assert entry is not None
    edge = play.plan.edges[entry]
    size = oracle.facts[Address(edge.source, path)].items
    rows = [play.rows.get(Address(edge.target, (*path, item))) for item in range(size or 0)]
    under_way = [row for row in rows if row is not None and not row.state.terminal]
    assert edge.limit is None or len(under_way) <= edge.limit
    if None in rows:
        assert not any(rows[rows.index(None) :]), "items are started in order"
        assert play.state.outcome is not None or len(under_way) == edge.limit, "there is room for more"

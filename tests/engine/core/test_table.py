"""The table of transitions: which event is taken in which state, that each entry is used, and that ends are ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias, get_args

import pytest
from perdure.checkpoints.records import State
from perdure.engine.core import _flow, commands, events
from perdure.engine.core._table import ACTIVATIONS, OPERATIONS, Move
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.journal import NAMES
from perdure.engine.core.restore import operation_address

from ..graphs import Sketch
from .play import Play, at
from .refusals import refused

S = State

# -- b in every situation --------------------------------------------------------------------------------


def beside(*, failing: bool = False, skipped: bool = False, **policy: Any) -> Play:
    """b runs, or was skipped or held back, beside c, which keeps the run alive."""
    sketch = Sketch("a")
    for name in ("gate", "c", "d"):
        sketch.edge("a", name)
    taken = sketch.edge("gate", "b", when=True)
    sketch.join(("b", "c", "d"), "z")
    sketch.policy("b", **{"retries": 1, **policy})
    play = Play(sketch.plan("z", on_failure="finish"), sketch.policies).begin()
    play.succeed("a")
    if failing:
        play.fail("d")
    play.succeed("gate", taken=() if skipped else (taken,))
    return play


def submitting() -> Play:
    play = beside()
    play.intend("b")
    return play


def refused_once() -> Play:
    play = submitting()
    play.refuse("b", passing=True)
    return play


def unknown() -> Play:
    play = beside()
    play.lose("b")
    return play


def held() -> Play:
    play = beside(on_unknown_submit="hold")
    play.lose("b")
    return play


def looked_for() -> Play:
    play = beside(find_after=0.0)
    play.lose("b")
    return play


def waiting() -> Play:
    play = beside()
    play.submit("b")
    return play


def fetching() -> Play:
    play = waiting()
    play.apply(events.FetchStarted(play.now, play.operation("b")))
    return play


def fetched() -> Play:
    play = fetching()
    play.apply(events.Fetched(play.now, play.operation("b")))
    return play


def given_up() -> Play:
    play = waiting()
    play.apply(events.GivenUp(play.now, play.operation("b"), "queue"))
    return play


def cancelling() -> Play:
    play = waiting()
    play.cancel()
    return play


def call_cancelling() -> Play:
    play = beside()
    play.cancel()
    return play


def backed_off() -> Play:
    play = beside()
    play.back_off("b")
    return play


def ended(way: Callable[[Play], object]) -> Play:
    play = waiting()
    way(play)
    return play


def turned() -> Play:
    """A turn of its own chain has ended, and another one is to follow."""
    play = waiting()
    play.end("b", "")
    return play


def asking() -> Play:
    """Its function asked, and the answer is waited for."""
    play = beside()
    play.ask("b", "key")
    return play


def asking_submitting() -> Play:
    play = beside()
    play.apply(events.SubmissionIntended(play.now, play.operation("b", "key")))
    return play


def asked_and_failed() -> Play:
    play = asking()
    play.apply(events.AttemptFailed(play.now, at("b")))
    return play


def asked_and_returned() -> Play:
    play = asking()
    play.apply(events.Succeeded(play.now, at("b")))
    return play


def asked_and_cancelled() -> Play:
    play = asking()
    play.cancel()
    return play


def answered() -> Play:
    play = asking()
    play.end("b", "key")
    return play


def cancelled() -> Play:
    play = cancelling()
    play.cancelled("b")
    return play


def undecodable() -> Play:
    """Its result is stored, and is about to be decoded again."""
    play = waiting()
    play.apply(events.AttemptFailed(play.now, at("b"), ending="undecodable", operation=play.operation("b")))
    play.succeed("c", "d")
    play.retry()
    return play


def running_in_a_failing_run() -> Play:
    play = beside()
    play.fail("d")
    return play


def held_back() -> Play:
    """It was about to submit something when the run failed."""
    play = running_in_a_failing_run()
    play.intend("b")
    return play


SITUATIONS: dict[str, Callable[[], Play]] = {
    "ready": lambda: beside(failing=True),
    "running": beside,
    "submitting": submitting,
    "refused": refused_once,
    "unknown": unknown,
    "held": held,
    "looked for": looked_for,
    "waiting": waiting,
    "fetching": fetching,
    "fetched": fetched,
    "given up": given_up,
    "cancelling": cancelling,
    "call cancelling": call_cancelling,
    "backoff": backed_off,
    "succeeded": lambda: ended(lambda play: play.succeed("b")),
    "undecided": lambda: ended(lambda play: play.succeed_undecided("b")),
    "undecodable": undecodable,
    "failed": lambda: ended(lambda play: play.fail("b")),
    "skipped": lambda: beside(skipped=True),
    "cancelled": cancelled,
    "turned": turned,
    "failing": running_in_a_failing_run,
    "held back": held_back,
}
ASKING: dict[str, Callable[[], Play]] = {
    "asking": asking,
    "asking, submitting": asking_submitting,
    "asked and failed": asked_and_failed,
    "asked and returned": asked_and_returned,
    "asked and cancelled": asked_and_cancelled,
    "answered": answered,
}
"""b with an operation of another chain, which is what events are about here."""

Taken: TypeAlias = Mapping[type[Any], State]
OPERATION_ENDS: Taken = {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.BACKOFF}
TAKEN: dict[str, Taken] = {
    "ready": {},
    "running": {
        events.Succeeded: S.SUCCEEDED,
        events.AttemptFailed: S.BACKOFF,
        events.SubmissionIntended: S.SUBMITTING,
        events.Opened: S.WAITING,
    },
    "submitting": {
        events.Submitted: S.WAITING,
        events.SubmissionRefused: S.BACKOFF,
        events.SubmissionUnknown: S.SUBMIT_UNKNOWN,
    },
    "refused": {events.SubmissionIntended: S.SUBMITTING},
    "unknown": {
        events.SubmissionIntended: S.SUBMITTING,
        events.NothingFound: S.SUBMIT_UNKNOWN,
        events.FateDecided: S.SUBMIT_UNKNOWN,
    },
    "held": {events.FateDecided: S.SUBMIT_UNKNOWN},
    "looked for": {events.NothingFound: S.SUBMIT_UNKNOWN, events.FateDecided: S.SUBMIT_UNKNOWN},
    "waiting": {
        **OPERATION_ENDS,
        events.TokenAdvanced: S.WAITING,
        events.FetchStarted: S.WAITING,
        events.Fetched: S.WAITING,
        events.OperationEnded: S.RUNNING,
        events.GivenUp: S.CANCELLING,
    },
    "fetching": {
        **OPERATION_ENDS,
        events.TokenAdvanced: S.WAITING,
        events.Fetched: S.WAITING,
        events.OperationEnded: S.RUNNING,
        events.GivenUp: S.CANCELLING,
    },
    "fetched": {**OPERATION_ENDS, events.OperationEnded: S.RUNNING},
    "given up": {
        **OPERATION_ENDS,
        events.Cancelled: S.BACKOFF,
        events.TokenAdvanced: S.CANCELLING,
        events.Fetched: S.CANCELLING,
        events.OperationEnded: S.RUNNING,
    },
    "cancelling": {
        events.Succeeded: S.SUCCEEDED,
        events.AttemptFailed: S.CANCELLED,
        events.Cancelled: S.CANCELLED,
        events.TokenAdvanced: S.CANCELLING,
        events.Fetched: S.CANCELLING,
        events.OperationEnded: S.CANCELLED,
    },
    "call cancelling": {
        events.Succeeded: S.SUCCEEDED,
        events.AttemptFailed: S.FAILED,
        events.Cancelled: S.CANCELLED,
    },
    "backoff": {events.BackoffEnded: S.RUNNING},
    "succeeded": {},
    "undecided": {events.EdgesDecided: S.SUCCEEDED, events.EdgesFailed: S.SUCCEEDED},
    "undecodable": {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.FAILED},
    "failed": {},
    "skipped": {},
    "cancelled": {},
    "turned": {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.FAILED},
    "failing": {
        events.Succeeded: S.SUCCEEDED,
        events.AttemptFailed: S.FAILED,
        events.SubmissionIntended: S.READY,
        events.Opened: S.READY,
    },
    "held back": {},
}
"""What can happen to b where, and what it then is."""
GOES_ON: Taken = {
    events.TokenAdvanced: S.WAITING,
    events.FetchStarted: S.WAITING,
    events.Fetched: S.WAITING,
}
TAKEN_ASKING: dict[str, Taken] = {
    "asking": {**GOES_ON, events.OperationEnded: S.RUNNING, events.GivenUp: S.CANCELLING},
    "asking, submitting": {
        events.Submitted: S.WAITING,
        events.SubmissionRefused: S.BACKOFF,
        events.SubmissionUnknown: S.SUBMIT_UNKNOWN,
    },
    "asked and failed": {**GOES_ON, events.OperationEnded: S.BACKOFF, events.GivenUp: S.CANCELLING},
    "asked and returned": {
        events.TokenAdvanced: S.SUCCEEDED,
        events.Fetched: S.SUCCEEDED,
        events.OperationEnded: S.SUCCEEDED,
    },
    "asked and cancelled": {
        events.TokenAdvanced: S.CANCELLING,
        events.Fetched: S.CANCELLING,
        events.OperationEnded: S.CANCELLING,
    },
    "answered": {},
}
"""What can happen to its operation of another chain, and what b then is."""
ABOUT_ITSELF: dict[str, Taken] = {
    "asking": {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.WAITING},
    "asking, submitting": {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.SUBMITTING},
    "asked and failed": {},
    "asked and returned": {},
    "asked and cancelled": {
        events.Succeeded: S.SUCCEEDED,
        events.AttemptFailed: S.FAILED,
        events.Cancelled: S.CANCELLED,
    },
    "answered": {events.Succeeded: S.SUCCEEDED, events.AttemptFailed: S.BACKOFF},
}
"""What can happen to b itself meanwhile: its function goes on."""
HANDLES: dict[str, State | None] = {
    "unknown": S.WAITING,
    "held": S.WAITING,
    "looked for": S.WAITING,
    "refused": S.WAITING,
    "waiting": None,
    "fetching": None,
    "fetched": None,
    "given up": None,
    "cancelling": None,
    "undecodable": None,
    "succeeded": None,
    "undecided": None,
    "failed": None,
    "cancelled": None,
    "turned": None,
}
"""Where a handle that turns up is adopted (what b then is) or is a second one (None)."""

ABOUT_ONE = sorted(
    (kind for kind in NAMES if {"address", "operation"} & set(kind._fields)),
    key=lambda kind: NAMES[kind],
)
MORE: dict[type[Any], dict[str, Any]] = {
    events.SubmissionRefused: {"passing": True},
    events.GivenUp: {"reason": "deadline"},
    events.FateDecided: {"reply": "resubmit"},
    events.HandleFound: {"submission": 1, "source": "found"},
    events.StrayCancelled: {"submission": 1},
    events.OperationEnded: {"ending": "succeeded"},
}


def make(kind: type[Any], play: Play, operation: OperationAddress, *, of_operation: bool) -> CoreEvent:
    """An event of that kind about the activation or, where the kind leaves it open, about its operation."""
    names = set(kind._fields)
    about: dict[str, Any] = {}
    if "address" in names:
        about["address"] = operation.address
    if "operation" in names and ("address" not in names or of_operation):
        about["operation"] = operation
    if kind is events.HandleFound and play.state.operation(operation) is None:  # its rows alone know it
        stored = [key for key, row in play.stored.operations.items() if operation_address(row) == operation]
        about["scope"] = stored[0].scope if stored else None
    return kind(at=play.now, **about, **MORE.get(kind, {}))


def test_every_event_is_tried() -> None:
    assert set(NAMES) == set(get_args(CoreEvent))
    assert len(set(NAMES.values())) == len(NAMES)
    assert len(ABOUT_ONE) == len(NAMES) - 4
    assert set(TAKEN) == set(SITUATIONS)
    assert set(TAKEN_ASKING) == set(ABOUT_ITSELF) == set(ASKING)


@pytest.mark.parametrize("kind", ABOUT_ONE)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_event_is_taken_where_it_can_happen_and_refused_elsewhere(situation: str, kind: type[Any]) -> None:
    play = SITUATIONS[situation]()
    has_operation = play.state.operation(play.operation("b")) is not None
    event = make(kind, play, play.operation("b"), of_operation=has_operation)
    if kind is events.HandleFound and situation in HANDLES:
        was = play.of("b")
        play.apply(event)
        assert play.of("b") == (HANDLES[situation] or was)
        assert bool(play.state.strays) == (HANDLES[situation] is None)
    elif kind in TAKEN[situation]:
        play.apply(event)
        assert play.of("b") == TAKEN[situation][kind]
    else:
        refused(play, event)


@pytest.mark.parametrize("of_operation", [True, False])
@pytest.mark.parametrize("kind", ABOUT_ONE)
@pytest.mark.parametrize("situation", ASKING)
def test_so_it_is_where_the_operation_is_of_another_chain(
    situation: str, kind: type[Any], of_operation: bool
) -> None:
    play = ASKING[situation]()
    event = make(kind, play, play.operation("b", "key"), of_operation=of_operation)
    itself = getattr(event, "operation", None) is None
    taken = (ABOUT_ITSELF if itself else TAKEN_ASKING)[situation]
    if kind is events.HandleFound and situation != "asking, submitting":
        was = play.of("b")
        play.apply(event)
        assert play.of("b") == was
        assert play.state.strays
    elif kind in taken:
        play.apply(event)
        assert play.of("b") == taken[kind]
    else:
        refused(play, event)


@pytest.mark.parametrize("ending", ["failed", "incomplete", "expired", "cancelled", "undecodable", "lost"])
def test_an_activation_goes_on_after_an_end_of_its_own_chain_only_where_that_is_a_success(
    ending: Any,
) -> None:
    play = waiting()
    refused(play, events.OperationEnded(play.now, play.operation("b"), ending))


@pytest.mark.parametrize("kind", ABOUT_ONE)
def test_nothing_happens_to_what_does_not_exist(kind: type[Any]) -> None:
    play = waiting()
    for address in (at("z"), Address("b", (3,)), Address("nobody")):
        refused(play, make(kind, play, OperationAddress(address), of_operation=True))
    if kind is not events.HandleFound:
        later = play.operation("b")._replace(number=1)
        names = set(kind._fields)
        if "operation" in names:
            refused(play, make(kind, play, later, of_operation=True))


@pytest.mark.parametrize("kind", ABOUT_ONE)
def test_nothing_happens_in_a_scope_that_is_closed(kind: type[Any]) -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.collect("b", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=1)
    play.submit("b[0]")
    operation = play.operation("b[0]")
    play.succeed("b[0]")
    event = make(kind, play, operation, of_operation=True)
    if kind is events.HandleFound:  # but that it was paid for in vain turns up
        play.apply(event)
        assert play.state.strays.keys() == {(operation, 1)}
    else:
        refused(play, event)


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind is not events.RunRetried])
def test_nothing_but_a_retry_happens_to_a_run_that_has_failed(kind: type[Any]) -> None:
    play = beside()
    play.lose("b")
    play.succeed_undecided("c")
    play.fail("d")
    assert play.finished is not None
    if kind not in ABOUT_ONE:
        refused(play, kind(play.now, play.policies) if kind is events.PoliciesChanged else kind(play.now))
        return
    for name in ("b", "c", "d"):
        refused(play, make(kind, play, play.operation(name), of_operation=name == "b"))


@pytest.mark.parametrize("first", [events.Succeeded, events.AttemptFailed, events.Cancelled])
@pytest.mark.parametrize("second", [events.Succeeded, events.AttemptFailed, events.Cancelled])
@pytest.mark.parametrize("situation", ["cancelling", "call cancelling"])
def test_the_first_end_wins(situation: str, first: type[Any], second: type[Any]) -> None:
    play = SITUATIONS[situation]()
    of_operation = situation == "cancelling"
    play.apply(make(first, play, play.operation("b"), of_operation=of_operation))
    refused(play, make(second, play, play.operation("b"), of_operation=of_operation))


# -- the table itself ------------------------------------------------------------------------------------


def test_no_way_leads_out_of_an_end_but_a_new_start_of_what_failed_or_was_cancelled() -> None:
    ways = {
        (table is ACTIVATIONS, move, state, to)
        for table in (OPERATIONS, ACTIVATIONS)
        for move, entries in table.items()
        for state, to in entries.items()
        if state is not None and state.terminal and to is not state
    }
    assert ways == {
        (True, Move.START, S.FAILED, S.RUNNING),
        (True, Move.START, S.CANCELLED, S.RUNNING),
        (True, Move.BACK_OFF, S.FAILED, S.BACKOFF),
        (True, Move.BACK_OFF, S.CANCELLED, S.BACKOFF),
    }


class Noted(dict[State | None, State]):
    """Entries of the table that say which of them were used."""

    def __init__(self, entries: Mapping[State | None, State], note: Callable[[State | None], None]) -> None:
        super().__init__(entries)
        self._note = note

    def __getitem__(self, state: State | None) -> State:
        self._note(state)
        return super().__getitem__(state)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, Move, State | None]]:
    """The entries that were used since, as (table, move, state)."""
    found: set[tuple[str, Move, State | None]] = set()

    def note(table: str, move: Move, state: State | None) -> None:
        found.add((table, move, state))

    for name, table in (("operations", OPERATIONS), ("activations", ACTIVATIONS)):
        noted = {move: Noted(entries, partial(note, name, move)) for move, entries in table.items()}
        monkeypatch.setattr(_flow, name.upper(), noted)
    return found


def roads() -> Iterator[None]:
    """Every situation, and from there every event that is taken."""
    for situation, taken in TAKEN.items():
        for kind in (*taken, *([events.HandleFound] if situation in HANDLES else [])):
            play = SITUATIONS[situation]()
            has_operation = play.state.operation(play.operation("b")) is not None
            play.apply(make(kind, play, play.operation("b"), of_operation=has_operation))
        yield
    for situation, taken in TAKEN_ASKING.items():
        for kind in taken:
            play = ASKING[situation]()
            play.apply(make(kind, play, play.operation("b", "key"), of_operation=True))
        yield
    play = asking()
    play.end("b", "key", "lost")
    yield
    for way in (Play.fail, Play.cancelled):  # what it asked is of unknown fate until after the retry
        sketch = Sketch("a")
        for name in ("b", "c"):
            sketch.edge("a", name)
        sketch.join(("b", "c"), "z")
        play = Play(sketch.plan("z")).begin()
        play.succeed("a")
        operation = play.operation("b", "key")
        play.apply(events.SubmissionIntended(play.now, operation))
        play.apply(events.SubmissionUnknown(play.now, operation))
        play.fail("c")
        way(play, "b")
        play.retry()
        yield
    for situation in ("submitting", "unknown", "held", "given up", "waiting", "undecodable", "fetching"):
        play = SITUATIONS[situation]()
        operation = play.operation("b")
        match situation:
            case "submitting":
                play.refuse("b")
            case "unknown" | "held":
                play.apply(events.FateDecided(play.now, operation, "fail"))
            case "undecodable" | "waiting":
                play.apply(events.AttemptFailed(play.now, at("b"), ending="undecodable", operation=operation))
            case "fetching":
                play.apply(events.AttemptFailed(play.now, at("b"), ending="lost", operation=operation))
            case _:
                play.fail("b", retryable=False)
        yield
    for (
        situation
    ) in SITUATIONS:  # everything that moves meets a cancel, and what failed or was cancelled a retry
        play = SITUATIONS[situation]()
        if play.state.outcome is None or situation in ("ready", "failed", "undecided"):
            play.cancel()
        yield
    for situation in ("backoff", "refused", "failed"):
        play = SITUATIONS[situation]()
        play.fail("c")
        play.fail("d")
        if play.finished is None:
            play.fail("b")
        play.retry()
        yield
    play = beside(failing=True)
    play.succeed("c")
    play.retry()
    sketch = Sketch("a")
    sketch.chain("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.cancel()
    play.succeed("a")
    yield


def test_every_entry_of_the_table_is_used(used: set[tuple[str, Move, State | None]]) -> None:
    for _ in roads():
        pass
    assert used == {
        *(("operations", move, state) for move, entries in OPERATIONS.items() for state in entries),
        *(("activations", move, state) for move, entries in ACTIVATIONS.items() for state in entries),
    }


def test_events_and_commands_equal_their_own_kind_alone() -> None:
    operation = OperationAddress(Address("a"), 1)
    assert commands.Submit(operation) == commands.Submit(operation)
    assert commands.Submit(operation) != commands.Fetch(operation)
    assert commands.Submit(operation) not in [commands.Fetch(operation), (operation,)]
    assert events.Fetched(1.0, operation) != events.FetchStarted(1.0, operation)
    assert len({commands.Submit(operation), commands.Submit(operation), commands.Fetch(operation)}) == 2

"""`Book`: what a page says of a run that fails."""

from __future__ import annotations

from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.book import Book, Change
from perdure.engine.core.state import RunState

from ..graphs import Sketch

A = Address("a")
OPERATION = OperationAddress(A)


def cut_off(end: Change) -> Book:
    """A run of one operation that took too long, and how its cancel ended."""
    sketch = Sketch("a")
    sketch.chain("a", "z")
    book = Book(RunState(plan=sketch.plan("z")))
    book.apply(
        [
            Change(events.RunStarted(0.0)),
            Change(events.SubmissionIntended(1.0, OPERATION)),
            Change(events.Submitted(2.0, OPERATION)),
            Change(events.GivenUp(3.0, OPERATION, "deadline")),
        ],
        0.0,
    )
    book.apply([end], 4.0)
    return book


def test_a_run_that_fails_says_what_failed_it() -> None:
    failure = {"type": "OperationCancelledError", "message": "a took too long"}
    book = cut_off(Change(events.Cancelled(4.0, A, operation=OPERATION), failure=failure))
    assert book.error == {**failure, "node": "a"}


def test_a_run_that_fails_without_a_reason_invents_none() -> None:
    """Its end was not skipped: it was never reached."""
    book = cut_off(Change(events.Cancelled(4.0, A, operation=OPERATION)))
    assert book.error == {"type": "Error", "message": "no reason was recorded", "node": "a"}


def test_a_run_whose_end_was_skipped_says_which_edge_decided_it() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z", when=True)
    sketch.edge("a", "b", otherwise=True)
    book = Book(RunState(plan=sketch.plan("z")))
    book.apply([Change(events.RunStarted(0.0)), Change(events.Succeeded(1.0, A, (1,)))], 0.0)
    assert book.error is not None
    assert book.error["type"] == "EndSkipped"
    assert "the edge from a to z was not taken" in book.error["message"]


def test_usage_belongs_to_the_submission_that_it_is_of() -> None:
    """The first one was adopted late, and the second is a stray: what either used up is its own."""
    sketch = Sketch("a")
    sketch.chain("a", "z")
    book = Book(RunState(plan=sketch.plan("z")))
    book.apply(
        [
            Change(events.RunStarted(0.0)),
            Change(events.SubmissionIntended(0.0, OPERATION)),
            Change(events.SubmissionUnknown(1.0, OPERATION)),
            Change(events.SubmissionIntended(10.0, OPERATION)),
            Change(events.SubmissionUnknown(11.0, OPERATION)),
            Change(events.HandleFound(12.0, OPERATION, 1, "former_owner", "resp_1")),
            Change(events.HandleFound(13.0, OPERATION, 2, "former_owner", "resp_2")),
        ],
        0.0,
    )
    ended = book.apply(
        [Change(events.Succeeded(14.0, A, (), None, OPERATION), {}, submission={"usage": b"first"})], 0.0
    )
    assert {key.submission: row for key, row in ended.submissions.items()} == {
        1: {"fate": "accepted", "usage": b"first"}
    }
    cancelled = book.apply(
        [Change(events.StrayCancelled(15.0, OPERATION, 2), submission={"usage": b"second"})], 0.0
    )
    assert {key.submission: row for key, row in cancelled.submissions.items()} == {
        2: {"fate": "stray_cancelled", "usage": b"second"}
    }

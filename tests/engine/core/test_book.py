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

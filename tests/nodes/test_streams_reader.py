"""The reader of a stream, without a connection: no log of events and no cut makes it miss or repeat a piece."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure.nodes import OperationError, OperationExpiredError
from perdure.nodes.operations import ContinuationToken, Expired, Succeeded
from perdure.nodes.operations.openai._stream import Cursor, StreamReader

StreamEvent = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Log:
    """A response's events as a server keeps them, and the text that counts."""

    events: list[StreamEvent]
    text: str
    resends_unnumbered: bool
    """Whether events without a number are sent again when they come after the cursor. Where they are not, what
    counts is always numbered: else it could not be read again at all."""

    def after(self, number: int | None) -> list[StreamEvent]:
        """What a stream that is opened with this cursor sends."""
        if number is None:
            return self.events
        sent: list[StreamEvent] = []
        position = -1
        for event in self.events:
            numbered = "sequence_number" in event
            position = event.get("sequence_number", position)
            if position > number or (position == number and not numbered and self.resends_unnumbered):
                sent.append(event)
        return sent


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Items that count and others, keepalives, gaps, duplicates, events without a number."""
    bodies: list[dict[str, Any]] = [{"type": "response.created"}]
    text = ""
    for index, phase in enumerate(
        draw(st.lists(st.sampled_from([None, "final_answer", "commentary"]), max_size=3))
    ):
        item = {"type": "message", "phase": phase}
        bodies.append({"type": "response.output_item.added", "output_index": index, "item": item})
        for delta in draw(st.lists(st.text("ab\u00e9\U0001f9a6", max_size=3), max_size=5)):
            bodies.append({"type": "response.output_text.delta", "output_index": index, "delta": delta})
            text += "" if phase == "commentary" else delta
            if draw(st.booleans()):
                bodies.append({"type": draw(st.sampled_from(["keepalive", "response.of.tomorrow"]))})
    events: list[StreamEvent] = []
    number = -1
    resends = draw(st.booleans())
    for body in bodies:
        may_lack = number >= 0 and (resends or "output_index" not in body)
        if may_lack and draw(st.integers(0, 4)) == 0:
            events.append(body)
            continue
        number += draw(st.integers(1, 3))
        event = {**body, "sequence_number": number}
        events += [event] * draw(st.integers(1, 2))
    return Log(events=events, text=text, resends_unnumbered=resends)


@settings(deadline=None, max_examples=200)
@given(log=logs(), cuts=st.lists(st.integers(0, 6), max_size=8), data=st.data())
def test_pieces_make_the_text_whatever_is_cut_where(log: Log, cuts: list[int], data: st.DataObject) -> None:
    """After each cut the cursor goes through JSON to another reader, or the same one goes on."""
    reader = StreamReader(Cursor())
    pieces: list[str] = []
    for cut in [*cuts, None]:
        for event in log.after(reader.rewind())[:cut]:
            pieces.append(reader.read(event)[0])
            if data.draw(st.booleans()):
                reader = hand_over(reader)
                break  # another process opens its own stream
    pieces += [reader.read(event)[0] for event in log.after(reader.rewind())]
    assert "".join(pieces) == log.text
    assert reader.cursor.delivered == len(log.text)


@settings(deadline=None, max_examples=200)
@given(log=logs(), cut=st.integers(0, 20))
def test_the_rest_of_the_text_follows_on_any_cursor(log: Log, cut: int) -> None:
    reader = StreamReader(Cursor())
    begun = "".join(reader.read(event)[0] for event in log.events[:cut])
    token = ContinuationToken(provider="p", handle={}, created_at=0.0)
    piece = hand_over(reader).last(token, Succeeded(value={"text": log.text}))
    assert begun + piece.text == log.text
    again = StreamReader(Cursor.from_json(piece.token.cursor)).last(
        token, Succeeded(value={"text": log.text})
    )
    assert again.text == ""


def test_text_without_a_number_is_read_again_and_not_delivered_again() -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0}
    events = [
        {"type": "response.created", "sequence_number": 0},
        {**delta, "delta": "One ", "sequence_number": 1},
        {**delta, "delta": "two "},
        {**delta, "delta": "three", "sequence_number": 2},
    ]
    reader = StreamReader(Cursor())
    assert [reader.read(event)[0] for event in events[:3]] == ["", "One ", "two "]
    other = hand_over(reader)
    assert other.rewind() is None  # whether the server would send "two " after 1 is not known
    assert [other.read(event)[0] for event in events] == ["", "", "", "three"]
    assert other.rewind() == 2


def hand_over(reader: StreamReader) -> StreamReader:
    """A reader in another process."""
    return StreamReader(Cursor.from_json(json.loads(json.dumps(reader.cursor.to_json()))))


def test_text_that_is_not_the_beginning_of_the_answer_is_not_continued() -> None:
    """The terminal response is the truth: pieces can't be taken back, so nothing is put behind them."""
    reader = StreamReader(Cursor())
    reader.read({"type": "response.output_text.delta", "delta": "Draft", "sequence_number": 1})
    token = ContinuationToken(provider="p", handle={}, created_at=0.0)
    end = Succeeded(value={"text": "Final answer"})
    assert reader.last(token, end).text == ""
    assert reader.last(token, end).end == end


def test_an_end_without_text_has_no_rest() -> None:
    token = ContinuationToken(provider="p", handle={}, created_at=0.0)
    end = Expired(error=OperationExpiredError("gone"))
    assert StreamReader(Cursor()).last(token, end).text == ""


@pytest.mark.parametrize("cursor", [3, "x", [], {}, {"sequence_number": "1"}, {"ended": True}])
def test_a_cursor_of_something_else_is_refused(cursor: Any) -> None:
    with pytest.raises(OperationError, match="cursor"):
        Cursor.from_json(cursor)

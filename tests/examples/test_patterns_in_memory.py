"""Patterns of which only the core can be written today take each of their branches.

They run in memory, and the agents are faked.
"""

from __future__ import annotations

from datetime import date

import pytest
from perdure import testing

from examples.patterns import (
    debate,
    flight_search,
    homework_guardrail,
    judged_outline,
    refund_desk,
    translation_desk,
)


@pytest.mark.parametrize(("verdict", "outcome"), [("pass", "A diver."), ("improve", "A diver's ghost.")])
def test_an_outline_that_does_not_pass_is_improved_once(verdict: str, outcome: str) -> None:
    done = testing.run_sync(
        judged_outline.flow,
        "Under the sea.",
        agents={
            judged_outline.outliner: "A diver.",
            judged_outline.judge: judged_outline.Judgement.model_validate(
                {"verdict": verdict, "advice": "Add a ghost."}
            ),
            judged_outline.improve: "A diver's ghost.",
        },
    )
    assert done.output == outcome
    assert done.prompts[judged_outline.judge] == ["A diver."]
    asked = "Under the sea.\n\nOutline:\nA diver.\n\nAdvice: Add a ghost."
    assert done.prompts[judged_outline.improve] == ([asked] if verdict == "improve" else [])


TRANSLATORS = {
    "French": translation_desk.to_french,
    "Italian": translation_desk.to_italian,
    "Spanish": translation_desk.to_spanish,
}


def edited(prompt: str) -> str:
    return f"Edited: {prompt}"


@pytest.mark.parametrize(
    "languages", [[], ["Spanish"], ["Spanish", "French"], ["Italian", "French", "Spanish"]]
)
def test_the_workers_of_the_languages_that_are_wanted_are_asked(languages: list[str]) -> None:
    order = translation_desk.Order.model_validate({"text": "Hello", "languages": languages})
    done = testing.run_sync(
        translation_desk.flow,
        "Please translate.",
        agents={
            translation_desk.clerk: order,
            **{worker: f"In {language}." for language, worker in TRANSLATORS.items()},
            translation_desk.edit: edited,
        },
    )
    for language, worker in TRANSLATORS.items():
        assert done.prompts[worker] == (["Hello"] if language in languages else [])
    translated = "\n\n".join(f"In {language}." for language in sorted(languages))
    refusal = "We translate to French, Italian and Spanish."
    assert done.output == (f"Edited: {translated}" if languages else refusal)


@pytest.mark.parametrize(
    ("homework", "outcome"), [(True, "Sorry, we can't do your homework: algebra"), (False, "x is 5.")]
)
def test_a_guardrail_holds_the_answer_back(homework: bool, outcome: str) -> None:
    done = testing.run_sync(
        homework_guardrail.flow,
        "What is x?",
        agents={
            homework_guardrail.guardrail: homework_guardrail.Check(homework=homework, reason="algebra"),
            homework_guardrail.assistant: "x is 5.",
        },
    )
    assert done.output == outcome
    assert done.prompts[homework_guardrail.guardrail] == ["What is x?"]
    assert done.prompts[homework_guardrail.assistant] == ["What is x?"]


@pytest.mark.parametrize(
    ("order", "outcome", "paid"),
    [
        (1, "Order 1 is refunded: $40.", "Paid back $40"),
        (2, "Order 2 cost $2400: a colleague will review the refund.", ""),
        (3, "There is no order 3. Which one is meant?", ""),
    ],
)
def test_only_a_small_refund_is_paid_at_once(
    capsys: pytest.CaptureFixture[str], order: int, outcome: str, paid: str
) -> None:
    done = testing.run_sync(
        refund_desk.flow,
        "It leaks.",
        agents={
            refund_desk.reader: refund_desk.Request(order=order, reason="leak"),
            refund_desk.tell: "Dear customer",
        },
    )
    assert done.output == "Dear customer"
    assert done.prompts[refund_desk.tell] == [f"Customer: It leaks.\n\nOutcome: {outcome}"]
    assert capsys.readouterr().out.partition(",")[0] == paid


def flight(number: str, price: int, **differs: object) -> flight_search.Flight:
    """A flight that fits the trip, but for what differs."""
    fits = {"number": number, "price": price, "origin": "MUC", "destination": "OSL", "day": date(2027, 5, 3)}
    return flight_search.Flight.model_validate({**fits, **differs})


@pytest.mark.parametrize(
    ("flights", "outcome"),
    [
        ([flight("A", 210), flight("B", 180)], "Booked B for 180 EUR, seat 2A."),
        ([flight("A", 210), flight("B", 90, day=date(2027, 5, 4))], "Booked A for 210 EUR, seat 2A."),
        ([flight("A", 75, destination="BGO"), flight("B", 80, origin="HAM")], "No flight fits."),
    ],
)
def test_the_cheapest_flight_that_fits_is_booked(flights: list[flight_search.Flight], outcome: str) -> None:
    done = testing.run_sync(
        flight_search.flow,
        flight_search.Trip(origin="MUC", destination="OSL", day=date(2027, 5, 3), seat="In front."),
        agents={
            flight_search.extract: flight_search.Flights(flights=flights),
            flight_search.choose_seat: flight_search.Seat(row=2, letter="A"),
        },
    )
    assert done.output == outcome
    assert done.prompts[flight_search.extract] == [flight_search.PAGE]
    assert done.prompts[flight_search.choose_seat] == ["In front."]


def test_both_sides_answer_the_opening_of_the_other() -> None:
    done = testing.run_sync(
        debate.flow,
        "No cars.",
        agents={
            debate.advocate: "Quiet.",
            debate.skeptic: "Slow.",
            debate.defend: "Trams.",
            debate.object_to: "Costly.",
            debate.conclude: "Both want to arrive.",
        },
    )
    assert done.output == "Both want to arrive."
    answer = "You said:\n{}\n\nAnswer your opponent, who said:\n{}"
    assert done.prompts[debate.defend] == [answer.format("Quiet.", "Slow.")]
    assert done.prompts[debate.object_to] == [answer.format("Slow.", "Quiet.")]
    asked = "Motion: No cars.\n\nQuiet.\n\nSlow.\n\nTrams.\n\nCostly."
    assert done.prompts[debate.conclude] == [asked]

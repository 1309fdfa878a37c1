"""The patterns run as they stand, and each branch leads where its docstring says.

The agents are asked over HTTP, of a simulator in a process of its own; the runs are in SQLite files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from perdure import Workflow, run_sync
from perdure.simulator import Answer, Match, Rule, Simulator

from examples.patterns import (
    best_translation,
    email_triage,
    expert_panel,
    financial_report,
    language_routing,
    mixed_results,
    research_bot,
    spam_gate,
    spam_switch,
    story,
    translation_desk,
    uppercase_reverse,
    word_count,
)

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "examples" / "patterns").glob("*.py") if path.stem != "__init__")

I = TypeVar("I")  # noqa: E741  # the input, beside O
O = TypeVar("O")  # noqa: E741  # the output


class Provider:
    """The simulator, and runs in a database of the test's own."""

    def __init__(self, simulator: Simulator, db: Path) -> None:
        self._simulator = simulator
        self._db = db

    def answers(self, agent: str, *answers: object) -> None:
        """What the agent answers, in turn and then always the last: text, or a document where it has an output."""
        for index, answer in enumerate(answers):
            self._simulator.script(
                Rule(
                    match=Match(metadata={"agent": agent}),
                    answer=Answer(
                        text=answer if isinstance(answer, str) else None,
                        json=None if isinstance(answer, str) else answer,
                        duration=0.1,
                    ),
                    times=1 if index < len(answers) - 1 else 0,
                )
            )

    def run(self, flow: Workflow[I, O], value: I) -> O:
        return run_sync(flow, value, db=self._db)

    @property
    def prompts(self) -> dict[str, list[str]]:
        """What each agent was asked."""
        asked: dict[str, list[str]] = {}
        for request in self._simulator.ledger().submissions():
            asked.setdefault(request.body["metadata"]["agent"], []).append(request.body["input"])
        return asked


@pytest.fixture
def provider(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)
    return Provider(simulator, tmp_path / "patterns.db")


@pytest.mark.parametrize("name", NAMES)
def test_the_program_runs_as_it_stands(name: str, simulator: Simulator, tmp_path: Path) -> None:
    simulator.script(Rule(answer=Answer(duration=0.1)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"examples.patterns.{name}"],
        cwd=ROOT,
        env={**os.environ, **simulator.env, "PERDURE_DB": str(tmp_path / "perdure.db")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == ""
    assert (tmp_path / "perdure.db").exists()


def test_functions_in_a_row(provider: Provider) -> None:
    assert provider.run(uppercase_reverse.flow, "abc") == "CBA"


@pytest.mark.parametrize(
    ("spam", "outcome"), [(True, "Email marked as spam: too good"), (False, "Email sent:\nThank you.")]
)
def test_a_gate_blocks_spam_and_answers_the_rest(provider: Provider, spam: bool, outcome: str) -> None:
    provider.answers("detector", {"is_spam": spam, "reason": "too good", "email": "Hi!"})
    provider.answers("assistant", {"text": "Thank you."})
    assert provider.run(spam_gate.flow, "Hi!") == outcome
    assert provider.prompts == {"detector": ["Hi!"]} | ({} if spam else {"assistant": ["Hi!"]})


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        ("not_spam", "Email sent: Thank you."),
        ("spam", "Email marked as spam: offers"),
        ("uncertain", "Email marked as uncertain: offers\nHi!"),
    ],
)
def test_a_switch_takes_one_of_three_ways(provider: Provider, decision: str, outcome: str) -> None:
    provider.answers("detector", {"decision": decision, "reason": "offers"})
    provider.answers("assistant", {"text": "Thank you."})
    assert provider.run(spam_switch.flow, "Hi!") == outcome
    assert provider.prompts.get("assistant", []) == (["Hi!"] if decision == "not_spam" else [])


@pytest.mark.parametrize(
    ("email", "decision", "asked", "saved"),
    [
        ("short", "not_spam", ["analyst", "assistant"], " saved\n"),
        ("long " * 30, "not_spam", ["analyst", "assistant", "summarizer"], " with its summary: In short.\n"),
        ("short", "spam", ["analyst"], " saved\n"),
        ("long " * 30, "uncertain", ["analyst"], None),
    ],
)
def test_triage_takes_every_way_that_fits(
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    email: str,
    decision: str,
    asked: Sequence[str],
    saved: str | None,
) -> None:
    provider.answers("analyst", {"decision": decision, "reason": "tone"})
    provider.answers("assistant", {"text": "Thank you."})
    provider.answers("summarizer", {"text": "In short."})
    outcomes = {
        "not_spam": "Email sent: Thank you.",
        "spam": "Email marked as spam: tone",
        "uncertain": f"Email marked as uncertain: tone\n{email}",
    }
    assert provider.run(email_triage.flow, email) == outcomes[decision]
    assert sorted(provider.prompts) == asked
    printed = capsys.readouterr().out
    assert printed == "" if saved is None else printed.endswith(saved)


def test_experts_are_asked_the_same_and_reported_in_order(provider: Provider) -> None:
    provider.answers("researcher", "Sales grow.")
    provider.answers("marketer", "Ride more.")
    provider.answers("lawyer", "Wear a helmet.")
    report = provider.run(expert_panel.flow, "A bike.")
    assert report == "Findings:\nSales grow.\n\nMarketing angle:\nRide more.\n\nLegal notes:\nWear a helmet."
    assert provider.prompts == {name: ["A bike."] for name in ("researcher", "marketer", "lawyer")}


def test_results_of_different_types_keep_their_types(provider: Provider) -> None:
    average, total = provider.run(mixed_results.flow, [1, 2, 6])
    assert (average, total) == (3.0, 9)
    assert (type(average), type(total)) == (float, int)


def test_words_are_counted_across_the_parts(provider: Provider) -> None:
    assert provider.run(word_count.flow, "a a b a a c a a") == {"a": 6, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("good", "fiction", "outcome"),
    [
        (True, True, "Once upon a Mars."),
        (False, True, "The outline is not good enough."),
        (True, False, "The outline is not science fiction."),
    ],
)
def test_only_a_good_outline_becomes_a_story(
    provider: Provider, good: bool, fiction: bool, outcome: str
) -> None:
    provider.answers("outliner", "A lighthouse.")
    provider.answers("checker", {"good": good, "science_fiction": fiction})
    provider.answers("writer", "Once upon a Mars.")
    assert provider.run(story.flow, "On Mars.") == outcome
    assert provider.prompts["checker"] == ["A lighthouse."]
    assert provider.prompts.get("writer", []) == (["A lighthouse."] if good and fiction else [])


def test_the_picker_sees_three_translations_and_the_message(provider: Provider) -> None:
    provider.answers("translator", "Uno", "Dos", "Tres")
    provider.answers("picker", "Dos")
    assert provider.run(best_translation.flow, "Hello") == "Dos"
    (asked,) = provider.prompts["picker"]
    assert asked.startswith("Message: Hello\n\nTranslations:\n")
    assert sorted(asked.split("\n\n")[1].split("\n")[1:] + asked.split("\n\n")[2:]) == ["Dos", "Tres", "Uno"]


def test_research_asks_once_per_search_and_reports_on_the_query(provider: Provider) -> None:
    searches = [{"reason": "waves", "query": "surfing"}, {"reason": "wind", "query": "sailing"}]
    provider.answers("planner", {"searches": searches})
    provider.answers("searcher", "Found it.")
    provider.answers("writer", {"summary": "S", "markdown": "M", "follow_up_questions": ["Q"]})
    report = provider.run(research_bot.flow, "sports")
    assert report == research_bot.Report(summary="S", markdown="M", follow_up_questions=["Q"])
    prompts = provider.prompts
    assert sorted(prompts["searcher"]) == [
        "Search term: sailing\nReason: wind",
        "Search term: surfing\nReason: waves",
    ]
    assert prompts["writer"] == ["Query: sports\n\nFindings:\nFound it.\n\nFound it."]


@pytest.mark.parametrize("language", ["french", "spanish", "english"])
def test_the_agent_of_the_language_answers(provider: Provider, language: str) -> None:
    provider.answers("triage", {"language": language})
    provider.answers(language, f"In {language}.")
    assert provider.run(language_routing.flow, "Hello") == f"In {language}."
    assert provider.prompts == {"triage": ["Hello"], language: ["Hello"]}


@pytest.mark.parametrize("languages", [[], ["Spanish"], ["Spanish", "French"]])
def test_only_the_translators_that_are_wanted_are_asked(provider: Provider, languages: list[str]) -> None:
    provider.answers("clerk", {"text": "Hello", "languages": languages})
    for translator in ("french", "italian", "spanish"):
        provider.answers(translator, f"In {translator}.")
    provider.answers("editor", "Edited.")
    edited, declined = "Edited.", "We translate to French, Italian and Spanish."
    assert provider.run(translation_desk.flow, "Please") == (edited if languages else declined)
    wanted = sorted(language.lower() for language in languages)
    translated = "\n\n".join(f"In {language}." for language in wanted)
    assert provider.prompts == {"clerk": ["Please"]} | {language: ["Hello"] for language in wanted} | (
        {"editor": [translated]} if languages else {}
    )


def report_answers(provider: Provider, *verified: bool) -> None:
    provider.answers("planner", {"searches": [{"reason": "news", "query": "chips"}]})
    provider.answers("searcher", {"summary": "Sales doubled."})
    for_more: list[str] = []
    reports = [
        {"summary": text, "markdown": text, "follow_up_questions": for_more} for text in ("first", "second")
    ]
    provider.answers("writer", *reports)
    issue = {"claim": "tripled", "category": "contradicted", "explanation": "It doubled."}
    provider.answers("verifier", *({"verified": ok, "issues": [] if ok else [issue]} for ok in verified))


@pytest.mark.parametrize(("verified", "kept"), [([True], "first"), ([False, True], "second")])
def test_a_report_is_revised_when_it_was_not_verified(
    provider: Provider, verified: list[bool], kept: str
) -> None:
    report_answers(provider, *verified)
    assert provider.run(financial_report.flow, "Chips?").summary == kept
    prompts = provider.prompts
    assert len(prompts["verifier"]) == len(verified)
    assert all("Sales doubled." in asked for asked in prompts["verifier"])
    assert prompts["verifier"][-1].endswith(f"Report:\n{kept}")


def test_a_report_that_is_not_verified_twice_fails_the_run(provider: Provider) -> None:
    report_answers(provider, False, False)
    with pytest.raises(Exception, match="failed its verification after one revision"):
        provider.run(financial_report.flow, "Chips?")

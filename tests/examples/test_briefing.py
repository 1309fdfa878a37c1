"""`examples.briefing` asks for what it needs, and hands on what it was told."""

from __future__ import annotations

import pytest
from perdure import testing
from perdure.engine import RunFailedError
from perdure.nodes.errors import OutputRefusedError

from examples.briefing import Review, briefing, edit, research, review

REVIEW = Review(summary="They float.", strengths=["short"], gaps=["no sources", "no dates"])


def test_each_question_is_researched_and_the_editor_is_told_of_the_gaps() -> None:
    done = testing.run_sync(
        briefing,
        "otters",
        agents={
            research: lambda prompt: f"found: {prompt}",  # pyright: ignore[reportUnknownLambdaType]
            review: REVIEW,
            edit: "The briefing.",
        },
    )
    assert done.output == "The briefing."
    assert done.prompts[research] == [
        "Investigate: otters: history",
        "Investigate: otters: the state of things today",
        "Investigate: otters: what comes next",
    ]
    (judged,) = done.prompts[review]
    assert judged.count("found: Investigate: otters") == 3
    (edited,) = done.prompts[edit]
    assert "otters: history, otters: the state of things today, otters: what comes next" in edited
    assert "Gaps to admit: no sources; no dates" in edited


def test_a_refusal_fails_the_run_at_the_node_that_met_it() -> None:
    with pytest.raises(RunFailedError) as failed:
        testing.run_sync(
            briefing, "otters", agents={research: OutputRefusedError("I can't."), review: REVIEW, edit: "x"}
        )
    assert failed.value.node is not None
    assert failed.value.node.startswith("research")
    assert failed.value.error_type == "OutputRefusedError"

"""`testing.run`: a workflow with its agents faked, in memory, at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from perdure import testing
from perdure.engine import RunFailedError, Workflow
from perdure.nodes import Agent, node, timer
from perdure.nodes.errors import (
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    OutputInvalidError,
    SubmissionRejectedError,
    SubmissionUnknownError,
)
from perdure.nodes.operation_node import OperationNode
from perdure.nodes.operations.openai import ResponsesOperation

agent = Agent("thinker", model="o3")


@dataclass(frozen=True)
class Verdict:
    """What a judge says."""

    good: bool
    why: str


@node
def split(text: str) -> list[str]:
    return text.split()


@agent.node
def research(word: str) -> str:
    return f"What is {word}?"


@agent.node(output=Verdict)
def judge(findings: list[str]) -> str:
    return "Judge: " + ", ".join(findings)


@timer
def month(verdict: Verdict) -> timedelta:
    return timedelta(days=30)


@node
async def tell(verdict: Verdict) -> str:
    return verdict.why.upper()


report = Workflow("report", start=split, end=tell)
report.map(split, research)
report.collect(research, judge)
report.edge(judge, month)
report.edge(month, tell)

FINE = Verdict(good=True, why="all fine")


@agent.node
def ask(text: str) -> str:
    return text


@agent.node(retries=0)
def ask_once(text: str) -> str:
    return text


@agent.node(on_unknown_submit="hold")
def ask_and_hold(text: str) -> str:
    return text


listing = OperationNode[str, list[str]](
    "listing",
    input=str,
    output=list[str],
    operation=ResponsesOperation(),
    request=lambda text, _: {"topic": text},
    finish=lambda value: [str(value)],
)


asking = Workflow("asking", start=ask, end=ask)
asking_once = Workflow("asking_once", start=ask_once, end=ask_once)
holding = Workflow("holding", start=ask_and_hold, end=ask_and_hold)
lists = Workflow("lists", start=listing, end=listing)


def bracketed(prompt: str) -> str:
    return f"[{prompt}]"


def five(prompt: str) -> int:
    return 5


async def test_agents_are_faked_and_nothing_waits() -> None:
    began = time.monotonic()
    done = await testing.run(
        report,
        "otters float",
        agents={research: bracketed, "judge": FINE},
    )
    assert time.monotonic() - began < 10  # of a month
    assert done.output == "ALL FINE"
    assert done.prompts[research] == ["What is otters?", "What is float?"]
    assert done.prompts["judge"] == ["Judge: [What is otters?], [What is float?]"]
    assert done.outputs(research) == ["[What is otters?]", "[What is float?]"]
    assert done.outputs(month) == [FINE]
    assert done.outputs(split) == [["otters", "float"]]


def test_the_twin_for_plain_functions_gives_the_same() -> None:
    done = testing.run_sync(report, "a", agents={research: "x", judge: FINE})
    assert (done.output, done.outputs(research)) == ("ALL FINE", ["x"])


async def test_in_a_running_loop_the_twin_says_what_to_write() -> None:
    with pytest.raises(RuntimeError, match=r"await testing\.run"):
        testing.run_sync(report, "a")


async def test_a_list_is_answered_in_order() -> None:
    done = await testing.run(report, "a b", agents={research: ["one", bracketed], judge: FINE})
    assert done.outputs(research) == ["one", "[What is b?]"]


async def test_a_list_that_the_node_gives_is_one_answer() -> None:
    assert (await testing.run(lists, "x", agents={listing: ["a", "b"]})).output == ["a", "b"]
    assert (await testing.run(lists, "x", agents={listing: [["a"], ["b"]]})).output == ["a"]
    assert (await testing.run(lists, "x", agents={listing: iter([["a"]])})).output == ["a"]


async def test_of_another_operation_the_whole_request_is_what_was_asked() -> None:
    assert (await testing.run(lists, "x", agents={listing: []})).prompts[listing] == [{"topic": "x"}]


async def test_an_async_function_may_answer() -> None:
    async def answer(prompt: str) -> str:
        await asyncio.sleep(0)
        return prompt[::-1]

    assert (await testing.run(asking, "abc", agents={ask: answer})).output == "cba"


async def test_what_may_pass_is_tried_again_without_waiting() -> None:
    passing = OperationFailedError("overloaded", code="server_error", retryable=True)
    done = await testing.run(asking, "x", agents={ask: [passing, passing, "at last"]})
    assert done.output == "at last"
    assert done.prompts[ask] == ["x", "x", "x"]


@pytest.mark.parametrize(
    "error",
    [
        OperationFailedError("broken"),
        OperationIncompleteError("too long", code="max_output_tokens", partial="so f"),
        OperationExpiredError("gone"),
        OutputInvalidError("no JSON"),
        SubmissionRejectedError("no such model", code="model_not_found"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_node_fails_with_the_error_that_was_given(error: Exception) -> None:
    for fake in (error, raising(error)):
        with pytest.raises(RunFailedError) as failed:
            await testing.run(asking_once, "x", agents={ask_once: fake})
        assert failed.value.node == "ask_once"
        assert failed.value.error_type == type(error).__name__
        assert str(error) in failed.value.error


def raising(error: Exception) -> Callable[[str], str]:
    def answer(prompt: str) -> str:
        raise error

    return answer


async def test_any_other_error_that_is_given_fails_the_node_too() -> None:
    with pytest.raises(RunFailedError, match="KeyError: 'x'"):
        await testing.run(asking_once, "x", agents={ask_once: KeyError("x")})


async def test_an_assertion_in_a_fake_is_the_tests_own() -> None:
    def answer(prompt: str) -> str:
        assert prompt == "something else"
        return ""

    with pytest.raises(AssertionError, match="something else"):
        await testing.run(asking, "x", agents={ask: answer})


async def test_an_agent_without_a_fake_is_named_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        testing.FakeError, match=r"'judge' was asked and has no fake; nothing was sent.*Judge: x"
    ):
        await testing.run(report, "a", agents={research: "x"})


async def test_an_agent_that_is_not_asked_needs_no_fake() -> None:
    assert (await testing.run(report, "", agents={judge: FINE})).prompts[research] == []


@pytest.mark.parametrize(
    "fake", [5, {"good": True}, five, [FINE, 5]], ids=["int", "dict", "function", "list"]
)
async def test_a_fake_of_the_wrong_type_is_told(fake: Any) -> None:
    with pytest.raises(testing.FakeError, match=r"'judge' is no Verdict"):
        await testing.run(
            report, "a", agents={research: "x", judge: [fake, fake] if callable(fake) else fake}
        )


async def test_a_list_that_is_too_short_is_told() -> None:
    with pytest.raises(testing.FakeError, match="'research' was asked more often than its fake has answers"):
        await testing.run(report, "a b c", agents={research: ["x", "y"], judge: FINE})


@pytest.mark.parametrize("name", ["nobody", split, month])
async def test_what_is_no_agent_is_not_faked(name: Any) -> None:
    with pytest.raises(testing.FakeError, match=r"no agent's node of workflow 'report'.*research, judge"):
        await testing.run(report, "a", agents={name: "x"})


async def test_an_unknown_fate_is_submitted_again() -> None:
    lost = SubmissionUnknownError("reply lost")
    done = await testing.run(asking, "x", agents={ask: [lost, "found"]})
    assert (done.output, len(done.prompts[ask])) == ("found", 2)


async def test_a_run_that_waits_for_a_person_is_stuck() -> None:
    with pytest.raises(testing.RunStuckError, match="ask_and_hold is submit_unknown"):
        await testing.run(holding, "x", agents={ask_and_hold: SubmissionUnknownError("reply lost")})


async def test_a_function_that_fails_fails_the_run_with_its_own_error() -> None:
    @node
    def broken(text: str) -> str:
        raise ZeroDivisionError("by zero")

    with pytest.raises(RunFailedError, match="by zero") as failed:
        await testing.run(Workflow("broken", start=broken, end=broken), "x")
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


async def test_the_workflow_itself_is_left_as_it_is() -> None:
    real = report.node("judge")
    await testing.run(report, "a", agents={research: "x", judge: FINE})
    assert report.node("judge") is real

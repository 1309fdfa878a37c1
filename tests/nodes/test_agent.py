"""Agents: how they are declared, and the nodes that they make."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from perdure.nodes import (
    Agent,
    Context,
    Node,
    NodeDefinitionError,
    OperationNode,
    OutputInvalidError,
    Polling,
    PromptNode,
    SubmissionRejectedError,
    node,
)
from perdure.nodes.errors import NotBuiltError
from perdure.nodes.operations import Json, Running, Succeeded
from perdure.nodes.prompts import Prompt
from perdure.simulator import Answer, HttpError, Match, Rule, Simulator
from pydantic import BaseModel


class Review(BaseModel):
    text: str
    score: int


def never(node: Node[Any, Any], default: object) -> object:
    raise AssertionError("no output is asked for here")


def a_context(path: tuple[int, ...] = (), run_id: str = "run-1") -> Context:
    return Context(run_id=run_id, node="research", path=path, attempt=2, idempotency_key="key", load=never)


def operation_node(made: Node[Any, Any]) -> PromptNode[Any, Any, Any]:
    assert isinstance(made, PromptNode)
    assert isinstance(made, OperationNode)
    return made  # pyright: ignore[reportUnknownVariableType]


def test_a_bare_decorator_makes_a_node_that_gives_text() -> None:
    @Agent("researcher", model="o3").node
    def research(question: str) -> str:
        return f"Investigate: {question}"

    made = operation_node(research)
    assert (made.name, made.kind, made.input, made.output) == ("research", "agent", str, str)
    assert (made.retries, made.on_unknown_submit, made.background) == (3, "resubmit", True)
    assert made.finish({"text": "Found."}) == "Found."


def test_the_request_is_complete_and_always_the_same() -> None:
    agent = Agent(
        "researcher",
        model="o3",
        instructions="Be concise.",
        reasoning={"effort": "low"},
        max_output_tokens=900,
        temperature=0.5,
        tools=[{"type": "web_search"}],
        extra={"prompt_cache_key": "k"},
    )

    @agent.node
    def research(questions: list[str], ctx: Context) -> str:
        return f"{ctx.run_id}: {' '.join(questions)}"

    made = operation_node(research)
    request = made.request(["a", "b"], a_context((3,)))
    assert request == {
        "model": "o3",
        "input": "run-1: a b",
        "instructions": "Be concise.",
        "max_output_tokens": 900,
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "tools": [{"type": "web_search"}],
        "prompt_cache_key": "k",
        "metadata": {"run": "run-1", "node": "research[3]", "attempt": "2", "agent": "researcher"},
        "background": True,
        "store": True,
    }
    assert list(made.request(["a", "b"], a_context((3,)))) == list(request)


def test_metadata_names_the_place_and_is_never_too_long() -> None:
    @Agent("a", model="m").node
    def research(question: str) -> str:
        return question

    made = operation_node(research)
    metadata: Any = made.request("x", a_context((1, 4), run_id="r" * 600))["metadata"]
    assert metadata["node"] == "research[1, 4]"
    assert metadata["run"] == "r" * 512
    metadata = made.request("x", a_context())["metadata"]
    assert metadata["node"] == "research"


def test_options_of_the_node() -> None:
    agent = Agent("a", model="m")

    @agent.node(background=False, on_unknown_submit="hold", retries=0, name="other")
    def research(question: str) -> str:
        return question

    made = operation_node(research)
    assert (made.name, made.retries, made.on_unknown_submit, made.background) == ("other", 0, "hold", False)
    assert made.request("x", a_context())["background"] is False
    assert made.named("third").name == "third"


def test_a_structured_output_is_asked_for_and_validated() -> None:
    @Agent("a", model="m").node(output=Review)
    def review(findings: list[str]) -> str:
        return "Judge: " + " ".join(findings)

    made = operation_node(review)
    assert made.output is Review
    text: Any = made.request(["x"], a_context())["text"]
    assert text["format"]["name"] == "Review"
    assert text["format"]["strict"] is True
    assert made.finish({"text": '{"text": "Good", "score": 5}'}) == Review(text="Good", score=5)
    with pytest.raises(OutputInvalidError) as caught:
        made.finish({"text": '{"text": "Good", "score": "many"}'})
    assert caught.value.partial == '{"text": "Good", "score": "many"}'
    assert "score" in str(caught.value)
    assert "valid integer" in str(caught.value)


def test_a_node_runs_against_the_provider(simulator: Simulator) -> None:
    """Submission, polls and result as an engine would do it, with a structured answer."""
    simulator.script(Rule(answer=Answer(json={"text": "Fine", "score": 4}, duration=0.2)))

    async def main() -> None:
        async with simulator.client() as client:
            agent = Agent("editor", model="gpt-5", client=client, polling=Polling(first=0.05))

            @agent.node(output=Review)
            def review(draft: str) -> str:
                return f"Judge: {draft}"

            made = operation_node(review)
            token = await made.operation.submit(made.request("d", a_context()), "key")
            state = await made.operation.poll(token)
            for _ in range(100):
                if not isinstance(state, Running):
                    break
                await asyncio.sleep(0.05)
                state = await made.operation.poll(token)
            assert isinstance(state, Succeeded)
            assert made.finish(state.value) == Review(text="Fine", score=4)

    asyncio.run(main())
    (response,) = simulator.ledger().accepted(run="run-1", node="research", attempt="2")
    assert response.background


def test_an_agent_is_immutable_and_keeps_its_own_copies() -> None:
    tools: list[Any] = [{"type": "web_search"}]
    extra: dict[str, object] = {"prompt_cache_key": "k"}
    agent = Agent("a", model="m", tools=tools, extra=extra)

    @agent.node
    def research(question: str) -> str:
        return question

    before = operation_node(research).request("x", a_context())
    tools[0]["type"] = "file_search"
    extra["prompt_cache_key"] = "other"
    assert operation_node(research).request("x", a_context()) == before
    with pytest.raises(AttributeError):
        agent.model = "other"  # type: ignore[misc]


def test_an_agent_does_not_show_its_client(simulator: Simulator) -> None:
    client = simulator.client()
    assert simulator.api_key not in repr(Agent("a", model="m", client=client))
    asyncio.run(client.close())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tools": [{"type": "function", "name": "f", "parameters": None}]}, "has to be run here"),
        ({"tools": [{"type": "computer_use_preview"}]}, "has to be run here"),
        ({"tools": [{"type": "mcp", "server_label": "s"}]}, "require_approval"),
        ({"extra": {"tools": [{"type": "function"}]}}, "has to be run here"),
        ({"extra": {"stream": True}}, "stream"),
        ({"extra": {"input": "x", "store": False}}, "input, store"),
        ({"extra": {"user": object()}}, "no plain JSON"),
        ({"temperature": float("nan")}, "no plain JSON"),
        ({"model": ""}, "needs a name and a model"),
    ],
)
def test_what_an_agent_can_not_be_is_said_where_it_is_declared(options: dict[str, Any], said: str) -> None:
    wanted: dict[str, Any] = {"model": "m"} | options
    with pytest.raises(NodeDefinitionError, match=said):
        Agent("a", **wanted)


def a_coroutine() -> Callable[..., Any]:
    async def research(question: str) -> str:
        return question

    return research


def a_generator() -> Callable[..., Any]:
    def research(question: str) -> Any:
        yield question

    return research


def without_annotations() -> Callable[..., Any]:
    def research(question):  # type: ignore[no-untyped-def]  # the point of it
        return question  # pyright: ignore

    return research  # pyright: ignore


def of_another_type() -> Callable[..., Any]:
    def research(question: str) -> int:
        return len(question)

    return research


def a_node() -> Callable[..., Any]:
    @node
    def research(question: str) -> str:
        return question

    return research  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (a_coroutine, "plain function"),
        (a_generator, "generator"),
        (without_annotations, "Annotate"),
        (of_another_type, "returns `str`"),
        (lambda: lambda question: question, "lambda"),  # pyright: ignore
        (a_node, "is a node already"),
    ],
)
def test_what_can_not_say_a_prompt_is_refused(make: Callable[[], Callable[..., Any]], said: str) -> None:
    with pytest.raises(NodeDefinitionError, match=said):
        Agent("a", model="m").node(make())


def test_wrong_options_of_a_node_are_refused() -> None:
    agent = Agent("a", model="m")

    def research(question: str) -> str:
        return question

    with pytest.raises(NodeDefinitionError, match="retries=-1"):
        agent.node(retries=-1)(research)
    with pytest.raises(NodeDefinitionError, match="'resubmit', 'fail' or 'hold'"):
        agent.node(on_unknown_submit="maybe")(research)  # type: ignore[call-overload]


def a_tool(query: str) -> list[str]:
    """Search our archive."""
    return [query]


@pytest.mark.parametrize(
    ("options", "today"),
    [
        ({"max_turns": 3}, r"`max_turns=3` is not built yet\. Today: leave it out: no function of yours"),
        (
            {"tools": [a_tool]},
            r"not built yet\. Today: use tools that run at the provider.*`@node` before or after",
        ),
    ],
)
def test_an_option_that_is_not_built_says_what_to_do_today(options: dict[str, Any], today: str) -> None:
    with pytest.raises(NotBuiltError, match=rf"^Agent 'a': .*{today}"):
        Agent("a", model="m", **options)


@pytest.mark.parametrize(
    ("options", "today"),
    [
        ({"stream": True}, r"`stream=True` is not built yet\. Today: .*agent\.run\(prompt, stream=True\)"),
        ({"continues": "self"}, r"`continues='self'` is not built yet\. Today: .*into the prompt"),
        ({"completion_window": "2h"}, r"`completion_window='2h'` is not built yet\. Today: leave it out"),
        (
            {"on_incomplete": "accept"},
            r"`on_incomplete='accept'` is not built yet\. Today: .*max_output_tokens",
        ),
    ],
)
def test_a_node_option_that_is_not_built_says_what_to_do_today(options: dict[str, Any], today: str) -> None:
    with pytest.raises(NotBuiltError, match=rf"^A node of agent 'a': {today}"):
        Agent("a", model="m").node(**options)


def test_a_batch_is_not_built_and_says_what_to_do_today() -> None:
    with pytest.raises(NotBuiltError, match=r"`batch` is not built yet\. Today: `map` over the list"):
        Agent("a", model="m").batch()


def test_calling_a_node_of_an_agent_gives_its_prompt_and_asks_nobody() -> None:
    agent = Agent("a", model="m")

    @agent.node
    def research(question: str) -> str:
        return f"Investigate: {question}"

    @agent.node(name="again", output=Review)
    def review(question: str, ctx: Context) -> Prompt:
        return [{"role": "user", "content": f"{question}, attempt {ctx.attempt}"}]

    assert research("otters") == "Investigate: otters"
    assert review("otters", a_context()) == [{"role": "user", "content": "otters, attempt 2"}]
    assert research.named("other")("seals") == "Investigate: seals"


@pytest.mark.parametrize("said", ["", None, 3])
def test_a_prompt_that_is_none_is_refused_when_it_is_made(said: Any) -> None:
    @Agent("a", model="m").node
    def research(question: str) -> str:
        return said

    with pytest.raises(NodeDefinitionError, match="instead of what to ask"):
        operation_node(research).request("x", a_context())


def test_a_node_whose_answer_is_of_another_operation_is_an_error() -> None:
    @Agent("a", model="m").node
    def research(question: str) -> str:
        return question

    value: Json = {"words": 3}
    with pytest.raises(NodeDefinitionError, match="no answer"):
        operation_node(research).finish(value)


def test_the_default_client_is_one_per_loop_and_is_closed_with_it(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing warns of an open connection afterwards (warnings are errors here)."""
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)
    simulator.script(Rule(answer=Answer(text="Hi.", duration=0.05)))
    agent = Agent("a", model="m")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(agent.run(f"Hello {number}")) for number in range(5)]
        assert [run.result().text for run in runs] == ["Hi."] * 5

    asyncio.run(main())
    asyncio.run(main())
    assert len(simulator.ledger().accepted()) == 10


def test_the_default_client_does_not_retry(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)
    simulator.script(Rule(match=Match(model="m"), fault=HttpError(status=429), times=0))
    with pytest.raises(SubmissionRejectedError):
        asyncio.run(Agent("a", model="m").run("Hello"))
    assert len(simulator.ledger().submissions()) == 1


def test_agents_can_be_declared_without_loading_openai() -> None:
    code = """
import sys
from perdure.nodes import Agent
from perdure.nodes.operations import operation_for
agent = Agent("a", model="m")
@agent.node
def ask(question: str) -> str: return question
operation_for("openai.responses")
sys.exit("openai" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

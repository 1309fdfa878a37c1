"""A deep research: a map over a plan, tools, failures left out, text read as it is written.

Never run: `test_face.py` shows it to the type checkers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from perdure import (
    Agent,
    AgentResponse,
    Context,
    Executor,
    Failure,
    Prompt,
    TextAdded,
    TextRestarted,
    Workflow,
    node,
    tool,
)


@dataclass
class Plan:
    questions: list[str]
    audience: str


@tool
async def archive(query: str) -> list[str]:
    """Search our archive."""
    return [query]


@tool(approve=lambda call: call.arguments["amount"] > 10, timeout=30)
async def buy_report(amount: int, title: str) -> str:
    """Buy a paywalled report."""
    return title


def plain_function_tool(query: str) -> str:
    """A user will pass this without @tool."""
    return query


planner = Agent("planner", model="gpt-5", output=Plan)
researcher = Agent(
    "researcher",
    model="o3-deep-research",
    output=AgentResponse[str],
    tools=[archive, buy_report, plain_function_tool, {"type": "web_search"}],
    max_turns=20,
)
writer = Agent("writer", model="gpt-5")
assert_type(planner, Agent[Plan])
assert_type(researcher, Agent[AgentResponse[str]])
assert_type(writer, Agent[str])


@node
def missing(failure: Failure) -> str:
    return failure.message


@writer.node(stream=True)
def write(findings: list[AgentResponse[str]], ctx: Context) -> str:
    plan = ctx.output(planner)
    assert_type(plan, Plan)
    cites = [c.url for f in findings for c in f.citations]
    return f"For {plan.audience}:" + "\n".join(f.output for f in findings) + str(cites)


@dataclass
class Report:
    text: str
    sources: list[str]


@node
def assemble(text: str, ctx: Context) -> Report:
    findings = ctx.output(write)  # str
    assert_type(findings, str)
    return Report(text, [])


deep = Workflow("deep_research", start=planner, end=assemble)
deep.map(planner, researcher, each=lambda plan: plan.questions, concurrency=8)
deep.allow_failure(researcher)
deep.collect(researcher, write, quorum=0.6)
deep.edge(write, assemble)
assert_type(deep, Workflow[Prompt, Report])


async def main() -> None:
    async with Executor("perdure.db", workflows=[deep]) as executor:
        run = await executor.start(deep, "sea otters", run_id="otters-1", labels={"user": "42"})
        async for update in run.updates():
            match update:
                case TextAdded(text=text):
                    print(text, end="")
                case TextRestarted():
                    print("\n--")
                case _:
                    pass
        assert_type(await run.result(), Report)
        assert_type(await run.outputs(researcher), dict[tuple[int, ...], AgentResponse[str]])

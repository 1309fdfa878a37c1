"""A report is verified against its evidence, revised once, and refused when that was not enough.

    python -m examples.patterns.financial_report

The second round is the same node under another name: `verify.named("verify_again")`. The pattern is the "financial
research agent" of the OpenAI Agents SDK:
https://github.com/openai/openai-agents-python/tree/main/examples/financial_research_agent
Left out: the writer consults analysts as tools, and searches that fail are skipped. Function tools and `allow_failure`
are not built yet; here the writer works from the evidence alone, and a search that keeps failing fails the run.
"""

from typing import Literal

from perdure import Agent, Context, Workflow, node, run_sync
from pydantic import BaseModel


class Search(BaseModel):
    reason: str
    query: str


class Plan(BaseModel):
    searches: list[Search]


class Summary(BaseModel):
    summary: str


class Report(BaseModel):
    summary: str
    markdown: str
    follow_up_questions: list[str]


class Issue(BaseModel):
    claim: str
    category: Literal["unsupported", "contradicted", "stale", "other"]
    explanation: str


class Verification(BaseModel):
    verified: bool
    issues: list[Issue]


planner = Agent(
    "planner", model="gpt-5", instructions="Plan 5 to 15 searches for a financial analysis.", output=Plan
)
searcher = Agent(
    "searcher",
    model="gpt-5",
    tools=[{"type": "web_search"}],
    instructions="Search; name key numbers.",
    output=Summary,
)
writer = Agent(
    "writer",
    model="gpt-5",
    instructions="Write a long financial report from the evidence. Cite it.",
    output=Report,
)
verifier = Agent(
    "verifier",
    model="gpt-5",
    instructions="Check the report against the evidence alone.",
    output=Verification,
)


@searcher.node
def search(item: Search) -> str:
    return f"Search term: {item.query}\nReason: {item.reason}"


@node
def evidence(found: list[Summary], ctx: Context) -> str:
    return f"Query: {ctx.input(flow)}\n\nEvidence:\n" + "\n\n".join(item.summary for item in found)


@verifier.node
def verify(report: Report, ctx: Context) -> str:
    return f"{ctx.output(evidence)}\n\nReport:\n{report.markdown}"


@writer.node
def revise(verdict: Verification, ctx: Context) -> str:
    report = ctx.output(writer)
    return f"{ctx.output(evidence)}\n\nReport:\n{report.markdown}\n\nRevise it:\n{verdict.model_dump_json()}"


verify_again = verify.named("verify_again")


@node
def accept(verdict: Verification, ctx: Context) -> Report:
    return ctx.output(writer)


@node
def accept_revised(verdict: Verification, ctx: Context) -> Report:
    if not verdict.verified:
        raise RuntimeError(
            f"The report failed its verification after one revision: {verdict.model_dump_json()}"
        )
    return ctx.output(revise)


flow = Workflow("financial_report", start=planner, end=(accept, accept_revised))
flow.map(planner, search, each=lambda plan: plan.searches)
flow.collect(search, evidence)
flow.edge(evidence, writer)
flow.edge(writer, verify)
flow.edge(verify, accept, when=lambda verdict: verdict.verified)
flow.edge(verify, revise, otherwise=True)
flow.edge(revise, verify_again)
flow.edge(verify_again, accept_revised)

if __name__ == "__main__":
    report = run_sync(flow, "How did the largest maker of chips do in the last quarter?")
    print(report.summary, report.markdown, *report.follow_up_questions, sep="\n\n")

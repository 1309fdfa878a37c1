"""Plan searches, do them in parallel, write a report on what they found.

    python -m examples.patterns.research_bot

`each` takes the list out of the plan: no node has to unpack it. The pattern is the "research bot" of the OpenAI Agents
SDK: https://github.com/openai/openai-agents-python/tree/main/examples/research_bot
Left out: searches that fail are skipped. `allow_failure` is not built yet; here a failed search is retried, and
fails the run if that does not help.
"""

from perdure import Agent, Context, Workflow, run_sync
from pydantic import BaseModel


class Search(BaseModel):
    reason: str
    query: str


class Plan(BaseModel):
    searches: list[Search]


class Report(BaseModel):
    summary: str
    markdown: str
    follow_up_questions: list[str]


planner = Agent(
    "planner",
    model="gpt-5",
    reasoning={"effort": "medium"},
    instructions="Plan 5 to 20 web searches.",
    output=Plan,
)
searcher = Agent(
    "searcher",
    model="gpt-5",
    tools=[{"type": "web_search"}],
    instructions="Search the web and summarize briefly.",
)
writer = Agent(
    "writer",
    model="gpt-5-mini",
    instructions="Outline a report, then write it: long, in Markdown.",
    output=Report,
)


@searcher.node
def search(item: Search) -> str:
    return f"Search term: {item.query}\nReason: {item.reason}"


@writer.node
def write(findings: list[str], ctx: Context) -> str:
    return f"Query: {ctx.input(flow)}\n\nFindings:\n" + "\n\n".join(findings)


flow = Workflow("research_bot", start=planner, end=write)
flow.map(planner, search, each=lambda plan: plan.searches)
flow.collect(search, write)

if __name__ == "__main__":
    report = run_sync(flow, "Which adventure sports are there in the Caribbean in April?")
    print(report.summary, report.markdown, *report.follow_up_questions, sep="\n\n")

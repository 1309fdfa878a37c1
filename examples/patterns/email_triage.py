"""Several ways at once: a reply, for long emails a summary too, and a record of either.

    python -m examples.patterns.email_triage

Every edge whose condition is true is taken. The record is no result of the run, so it is discarded.
"""

from typing import Literal

from perdure import Agent, Context, Prompt, Workflow, node, run_sync
from pydantic import BaseModel

LONG = 100
"""Characters from which an email is summarized."""
EMAIL = (
    "Hi Sarah, three things from this morning: the timeline by Friday, the client's presentation next week, and "
    "the budget of the last quarter. Please tell me what I forgot. Alex"
)


class Analysis(BaseModel):
    decision: Literal["not_spam", "spam", "uncertain"]
    reason: str


class Triaged(BaseModel):
    analysis: Analysis
    length: int


class Reply(BaseModel):
    text: str


class Summary(BaseModel):
    text: str


analyst = Agent(
    "analyst", model="gpt-5-mini", instructions="Decide whether the email is spam.", output=Analysis
)
assistant = Agent(
    "assistant", model="gpt-5", instructions="Draft a professional reply to the email.", output=Reply
)
summarizer = Agent("summarizer", model="gpt-5-mini", instructions="Summarize the email.", output=Summary)


@node
def measure(analysis: Analysis, ctx: Context) -> Triaged:
    return Triaged(analysis=analysis, length=len(ctx.input(flow)))


@assistant.node
def answer(triaged: Triaged, ctx: Context) -> Prompt:
    return ctx.input(flow)


@summarizer.node
def summarize(triaged: Triaged, ctx: Context) -> Prompt:
    return ctx.input(flow)


@node
def send(reply: Reply) -> str:
    return f"Email sent: {reply.text}"


@node
def block(triaged: Triaged) -> str:
    return f"Email marked as spam: {triaged.analysis.reason}"


@node
def flag(triaged: Triaged, ctx: Context) -> str:
    return f"Email marked as uncertain: {triaged.analysis.reason}\n{ctx.input(flow)}"


@node
def save(record: Triaged | Summary, ctx: Context) -> None:
    print(
        f"Email of run {ctx.run_id} saved"
        + (f" with its summary: {record.text}" if isinstance(record, Summary) else "")
    )


flow = Workflow("email_triage", start=analyst, end=(send, block, flag))
flow.edge(analyst, measure)
flow.switch(measure, lambda t: t.analysis.decision, {"not_spam": answer, "spam": block, "uncertain": flag})
flow.edge(measure, summarize, when=lambda t: t.analysis.decision == "not_spam" and t.length > LONG)
flow.edge(measure, save, when=lambda t: t.length <= LONG)
flow.edge(answer, send)
flow.edge(summarize, save)
flow.discard(save)

if __name__ == "__main__":
    print(run_sync(flow, EMAIL))

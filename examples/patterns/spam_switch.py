"""A switch: one of three ways, by the classifier's decision.

    python -m examples.patterns.spam_switch

Nodes that need the email itself read it with `ctx.input`, so it need not travel through every answer.
"""

from typing import Literal

from perdure import Agent, Context, Prompt, Workflow, node, run_sync
from pydantic import BaseModel

EMAIL = "You may like our latest offer. No pressure, but it ends soon: shall I tell you more?"


class Verdict(BaseModel):
    decision: Literal["not_spam", "spam", "uncertain"]
    reason: str


class Reply(BaseModel):
    text: str


detector = Agent(
    "detector",
    model="gpt-5-mini",
    instructions="Decide whether the email is spam. Doubt your judgement.",
    output=Verdict,
)
assistant = Agent(
    "assistant", model="gpt-5", instructions="Draft a professional reply to the email.", output=Reply
)


@assistant.node
def answer(verdict: Verdict, ctx: Context) -> Prompt:
    return ctx.input(flow)


@node
def send(reply: Reply) -> str:
    return f"Email sent: {reply.text}"


@node
def block(verdict: Verdict) -> str:
    return f"Email marked as spam: {verdict.reason}"


@node
def flag(verdict: Verdict, ctx: Context) -> str:
    return f"Email marked as uncertain: {verdict.reason}\n{ctx.input(flow)}"


flow = Workflow("spam_switch", start=detector, end=(send, block, flag))
flow.switch(
    detector, lambda verdict: verdict.decision, {"not_spam": answer, "spam": block, "uncertain": flag}
)
flow.edge(answer, send)

if __name__ == "__main__":
    print(run_sync(flow, EMAIL))

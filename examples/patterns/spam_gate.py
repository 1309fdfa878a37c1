"""A condition on an edge: a classifier's verdict decides whether an email is answered.

    python -m examples.patterns.spam_gate

The detector is wired as it stands. The workflow has two ends, of which each run reaches one.
"""

from perdure import Agent, Workflow, node, run_sync
from pydantic import BaseModel

EMAIL = "Hi Sarah, the minutes of this morning are attached. Could you send the timeline by Friday? Alex"


class Verdict(BaseModel):
    is_spam: bool
    reason: str
    email: str


class Reply(BaseModel):
    text: str


detector = Agent(
    "detector",
    model="gpt-5-mini",
    instructions="Decide whether the email is spam. Repeat its text.",
    output=Verdict,
)
assistant = Agent(
    "assistant", model="gpt-5", instructions="Draft a professional reply to the email.", output=Reply
)


@assistant.node
def answer(verdict: Verdict) -> str:
    return verdict.email


@node
def send(reply: Reply) -> str:
    return f"Email sent:\n{reply.text}"


@node
def block(verdict: Verdict) -> str:
    return f"Email marked as spam: {verdict.reason}"


flow = Workflow("spam_gate", start=detector, end=(send, block))
flow.edge(detector, block, when=lambda verdict: verdict.is_spam)
flow.edge(detector, answer, otherwise=True)
flow.edge(answer, send)

if __name__ == "__main__":
    print(run_sync(flow, EMAIL))

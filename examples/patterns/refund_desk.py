"""Small refunds are paid at once, large ones are left to a person, and the customer is told.

    python -m examples.patterns.refund_desk

The pattern is the "Reliable Customer Service Agent" of the DBOS demo apps:
https://github.com/dbos-inc/dbos-demo-apps/tree/main/python/reliable-refunds-langchain
Left out: the model calls tools, and the run waits a week for a reviewer. Function tools and people are not built yet;
here functions between two agents look up the order and decide, and a run with a large refund ends without paying it.
"""

from typing import Literal

from perdure import Agent, Context, Workflow, node, run_sync
from pydantic import BaseModel

REVIEWED = 1000
"""Dollars above which a person decides."""
PRICES = {1: 40, 2: 2400}
"""The orders by number, in dollars."""


class Request(BaseModel):
    order: int
    reason: str


Kind = Literal["refund", "review", "unknown"]


class Decision(BaseModel):
    kind: Kind
    order: int
    price: int


reader = Agent(
    "reader", model="gpt-5-mini", instructions="Find which order is meant, and why.", output=Request
)
writer = Agent("writer", model="gpt-5", instructions="Tell the customer in two friendly sentences.")


@node
def decide(request: Request) -> Decision:
    price = PRICES.get(request.order, 0)
    kind: Kind = "unknown" if not price else "review" if price > REVIEWED else "refund"
    return Decision(kind=kind, order=request.order, price=price)


@node
def refund(decision: Decision, ctx: Context) -> str:
    print(f"Paid back ${decision.price}, once for the key {ctx.idempotency_key}")
    return f"Order {decision.order} is refunded: ${decision.price}."


@node
def review(decision: Decision) -> str:
    return f"Order {decision.order} cost ${decision.price}: a colleague will review the refund."


@node
def ask_back(decision: Decision) -> str:
    return f"There is no order {decision.order}. Which one is meant?"


@writer.node
def tell(outcome: str, ctx: Context) -> str:
    return f"Customer: {ctx.input(flow)}\n\nOutcome: {outcome}"


flow = Workflow("refund_desk", start=reader, end=tell)
flow.edge(reader, decide)
flow.switch(decide, lambda decision: decision.kind, {"refund": refund, "review": review, "unknown": ask_back})
flow.edge(refund, tell)
flow.edge(review, tell)
flow.edge(ask_back, tell)

if __name__ == "__main__":
    print(run_sync(flow, "The kettle of order 1 leaks. I would like my money back."))

"""Tickets: an exclusive choice, people who decide, a timer, a failure that is handled, two ends.

Never run: `test_face.py` shows it to the type checkers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, assert_type

from perdure import Agent, Client, Context, Executor, Failure, Prompt, Run, Workflow, human, node, timer

Kind = Literal["refund", "bug", "other"]


@dataclass
class Ticket:
    id: str
    text: str


@dataclass
class Routed:
    ticket: Ticket
    kind: Kind


@dataclass
class Verdict:
    approved: bool
    note: str = ""


router = Agent("router", model="gpt-5-mini", output=Literal["refund", "bug", "other"])
refunds = Agent("refunds", model="gpt-5")
bugs = Agent("bugs", model="o3")
assert_type(router, Agent[Kind])


@node(retries=2, timeout=30)
async def route(ticket: Ticket, ctx: Context) -> Routed:
    kind = await ctx.ask(router, ticket.text)
    assert_type(kind, Kind)
    return Routed(ticket, kind)


@refunds.node
def refund(r: Routed) -> str:
    return f"Draft a refund for {r.ticket.text}"


@bugs.node(retries=3)
def bug(r: Routed) -> Prompt:
    return [{"role": "user", "content": r.ticket.text}]


@node
def other(r: Routed) -> str:
    return "hello"


@human(reply=Verdict, expires=timedelta(days=2))
def approve(draft: str) -> str:
    return f"Send?\n{draft}"


@human(reply=bool, expires=timedelta(days=2), default=False)
def approve_late(draft: str) -> str:
    return f"Send?\n{draft}"


@timer
def office_hours(verdict: Verdict | None) -> timedelta:
    return timedelta(hours=1)


@node
async def send(verdict: Verdict | None, ctx: Context) -> str:
    draft = ctx.output(refund, default=None) or ctx.output(bug, default=None) or ctx.output(other, default="")
    assert_type(draft, str)
    return draft if verdict and verdict.approved else ""


@node
async def page(failure: Failure) -> str:
    return failure.message


triage = Workflow("triage", start=route, end=(send, page))
triage.switch(route, lambda r: r.kind, {"refund": refund, "bug": bug, "other": other})
triage.edge(refund, approve)
triage.edge(bug, approve)
triage.edge(other, approve)
triage.edge(approve, office_hours)
triage.edge(office_hours, send)
triage.catch(bug, page)
assert_type(triage, Workflow[Ticket, str])


async def inbox(client: Client) -> None:
    for question in await client.questions():
        await client.answer(question, {"approved": True}, by="ann@example.com")
    await client.answer("run-1", approve, Verdict(True), by="ann")
    run = await client.enqueue(triage, Ticket("1", "x"))
    assert_type(run, Run[str])


async def svc() -> None:
    async with Client("x.db") as c:
        assert_type(c, Client)
        await inbox(c)
    async with Executor("x.db", workflows=[triage], resources=[object()]) as e:
        assert_type(e, Executor)
        await inbox(e)


def test_route() -> None:
    assert approve("x") == "Send?\nx"
    assert other(Routed(Ticket("1", "x"), "other")) == "hello"
    assert_type(bug(Routed(Ticket("1", "x"), "bug")), Prompt)

"""What must not type-check: type checkers reject each line that is marked, and no other.

Never run: `test_face.py` shows it to them.
"""

from batch import classify_all, count
from ends import either, nested, text
from given import mail
from perdure import Agent, Client, Context, Executor, Run, node, run_sync
from research import deep, planner, researcher
from revise import check, draft, revision
from triage import Ticket, approve, approve_late, bug, other, refund, route, send, triage
from variance import peek

triage.edge(route, researcher)  # wrong: a Routed is no prompt
triage.edge(approve, approve_late)  # wrong: Verdict | None is no str
deep.map(planner, researcher, each=lambda plan: plan.qs)  # wrong: no such field
deep.map(planner, bug, each=lambda plan: plan.questions)  # wrong: a str is no Routed
deep.map(planner, bug, each=lambda plan: plan.audience)  # wrong: a str is no list
deep.collect(researcher, count)  # wrong: responses are no labels
triage.catch(bug, refund)  # wrong: a Failure is no Routed
revision.loop(check, draft, when=lambda grade: grade.score < 1, max_iterations=1)  # wrong: a Grade is no str
revision.loop(check, draft, when=bool, feed=lambda grade: grade.score, max_iterations=1)  # wrong: int for str
triage.switch(route, lambda routed: routed.kind, {"refund": researcher})  # wrong: it takes no Routed
triage.switch(route, lambda routed: routed.knd, {"refund": refund})  # wrong: no such field
triage.join((refund, route), send)  # wrong: a tuple is no Verdict | None
deep.edge(classify_all, count)  # wrong: the failures are not handled
nested.edge(either, text)  # wrong: int | str is no int
run_sync(mail, [{"role": "user", "content": "x"}])  # wrong: it says that it takes text alone
run_sync(triage, "x")  # wrong: it takes a Ticket
other("x")  # wrong: a unit test must call it with a Routed
peek("x")  # wrong: a unit test must call it with a Context
bad_agent: Agent[int] = Agent("x", model="m", output=str)  # wrong: its output is str


async def bad(client: Client, executor: Executor, ctx: Context) -> None:
    await client.answer("r", approve_late, "yes")  # wrong: the reply is a bool
    await client.answer("r", approve, None)  # wrong: None is no reply
    await executor.start(triage, 3)  # wrong: it takes a Ticket
    x: int = await ctx.ask(planner, "x")  # wrong: it gives a Plan
    await ctx.ask(bug, "not routed")  # wrong: it takes a Routed
    await ctx.step("k", len, 3)  # wrong: len takes something sized
    await client.runs(status="done")  # wrong: no such status
    r: Run[int] = await client.get("r", triage)  # wrong: it gives a str
    await client.start(triage, Ticket("1", ""))  # wrong: a client drives nothing
    async for event in (await client.get("r", triage)).events():
        print(event.type == "suceeded", x, r)  # wrong: no such event


@node  # wrong: two inputs
def two(a: str, b: str) -> str:
    return a + b

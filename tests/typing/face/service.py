"""A web service: resources, labels, a stream for a browser.

Never run: `test_face.py` shows it to the type checkers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, assert_type

from perdure import Agent, Client, Context, Executor, Run, Workflow, node


class Pool:
    async def fetch(self, sql: str, *args: object) -> list[dict[str, object]]:
        return []


writer = Agent("writer", model="gpt-5")


@writer.node(stream=True)
def write(rows: list[str]) -> str:
    return "\n".join(rows)


@node
async def load(user: str, ctx: Context) -> list[str]:
    pool = ctx.resource(Pool)
    rows = await ctx.step("load", pool.fetch, "select * from t where u = $1", user)
    assert_type(rows, list[dict[str, object]])
    n = await ctx.step("len", len, rows)
    assert_type(n, int)
    return [str(r) for r in rows]


letters = Workflow("letters", start=load, end=write)
letters.edge(load, write)


class Request:  # stands for starlette's
    headers: dict[str, str]
    app: Any


@asynccontextmanager
async def lifespan(app: Any) -> AsyncGenerator[None, None]:
    async with Executor("perdure.db", workflows=[letters], resources=[Pool()]) as executor:
        app.state.perdure = executor
        yield


async def start(user: str, client: Client) -> dict[str, str]:
    run = await client.enqueue(letters, user, labels={"user": user})
    return {"run": run.id}


async def events(run_id: str, request: Request, client: Client) -> AsyncGenerator[str, None]:
    run = await client.get(run_id, letters)
    assert_type(run, Run[str])
    async for update in run.updates(after=request.headers.get("last-event-id")):
        yield f"id: {update.cursor}\nevent: {update.type}\ndata: {update.to_json()}\n\n"


async def mine(user: str, client: Client) -> list[str]:
    return [r.id for r in await client.runs(labels={"user": user}, status="waiting")]

"""A web service that drives its runs itself, with a stream of what happens.

uvicorn examples.embedding.service:app --timeout-graceful-shutdown 2
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from perdure import Executor, Run
from perdure.errors import (
    InputMismatchError,
    PerdureError,
    RunFailedError,
    RunIdError,
    RunNotFoundError,
    StoreError,
)
from pydantic import BaseModel

from examples.embedding.briefings import briefing

log = logging.getLogger(__name__)


async def take_up(executor: Executor) -> None:
    """Drive on what other processes left. Again and again: in a rolling deploy they stop after we have started."""
    while True:
        try:
            await executor.resume_all()
        except StoreError as error:
            log.warning("no runs were taken up: %s", error)
        await asyncio.sleep(2)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with Executor("perdure.db", workflows=[briefing]) as executor, asyncio.TaskGroup() as tasks:
        taking_up = tasks.create_task(take_up(executor))
        app.state.executor = executor
        yield
        taking_up.cancel()


app = FastAPI(lifespan=lifespan)


def the_executor(request: Request) -> Executor:
    executor: Executor = request.app.state.executor
    return executor


async def the_run(run_id: str, executor: Annotated[Executor, Depends(the_executor)]) -> Run[str]:
    return await executor.get(run_id, briefing)


class Order(BaseModel):
    topic: str
    id: str | None = None
    """Your name for the run: an order that is sent twice is one run."""


@app.post("/runs", status_code=201)
async def start(
    order: Order, response: Response, executor: Annotated[Executor, Depends(the_executor)]
) -> dict[str, str]:
    run = await executor.start(briefing, order.topic, run_id=order.id)
    response.headers["Location"] = f"/runs/{run.id}"
    return {"id": run.id}


@app.get("/runs/{run_id}")
async def show(run: Annotated[Run[str], Depends(the_run)]) -> dict[str, str]:
    status = await run.status()
    if status not in ("succeeded", "failed"):
        return {"status": status}
    try:
        return {"status": status, "result": await run.result()}
    except RunFailedError as error:
        return {"status": status, "error": error.error}


@app.get("/runs/{run_id}/events", response_class=EventSourceResponse)
async def events(
    run: Annotated[Run[str], Depends(the_run)], last_event_id: Annotated[int, Header()] = 0
) -> AsyncGenerator[ServerSentEvent]:
    async for event in run.events(after=last_event_id):
        yield ServerSentEvent(id=str(event.position), event=event.type, data={"activation": event.activation})
    yield ServerSentEvent(event="end", data={"status": await run.status()})


@app.exception_handler(PerdureError)
async def refuse(request: Request, error: PerdureError) -> JSONResponse:
    """An error of Perdure says what is wrong and what to do: pass its message on."""
    match error:
        case RunNotFoundError():
            status = 404
        case InputMismatchError():
            status = 409
        case RunIdError():
            status = 422
        case _:
            status = 500
    return JSONResponse({"detail": str(error)}, status)

"""A workflow around one small operation of the conformance kit: whatever an adapter can, killed in real processes.

The provider is a ledger in the run's folder, which survives the process and counts what it was asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from perdure.engine import Workflow
from perdure.nodes import Context, OperationNode, Polling, ProviderUnavailableError, node, timer
from perdure.nodes.conformance import SMALL_OPERATIONS, Entry, Ledger, OnceOperation, PlainOperation
from perdure.nodes.operations import ContinuationToken, Fetched, Operation, Outcome, Running

from .desk import Desk

VERBS = ("submit", "find", "poll", "fetch", "cancel")
"""What is asked of an adapter: points at which a process can be killed."""


class MovingOperation(PlainOperation):
    """Its token moves with each poll. `asked` in the folder holds the cursors that were asked with, a line each."""

    name = "conformance.moving"

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self._asked = Path(folder) / "asked"

    def _outcome(self, token: ContinuationToken, entry: Entry | None) -> Outcome:
        with self._asked.open("a") as file:
            file.write(f"{token.cursor or 0}\n")
        outcome = super()._outcome(token, entry)
        if isinstance(outcome, Running):
            position = token.cursor if isinstance(token.cursor, int) else 0
            return Running(token=token.at(position + 1))
        return outcome


class ClosedOnceOperation(OnceOperation):
    """Will not talk to us the first time that it is asked for the result, and has handed out nothing then."""

    name = "conformance.closed"

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self._asked = Path(folder) / "asked"

    async def fetch(self, token: ContinuationToken) -> Running | Fetched:
        if not self._asked.exists():
            self._asked.write_text("once")
            raise ProviderUnavailableError("The ledger is closed.", code="closed")
        return await super().fetch(token)


class SlowOnceOperation(OnceOperation):
    """Takes a while to hand out what it does not have any more then."""

    name = "conformance.slow"

    async def fetch(self, token: ContinuationToken) -> Running | Fetched:
        answer = await super().fetch(token)
        await asyncio.sleep(1.5)
        return answer


OPERATIONS: Mapping[str, Callable[..., Operation]] = {
    **SMALL_OPERATIONS,
    "moving": MovingOperation,
    "closed": ClosedOnceOperation,
    "slow": SlowOnceOperation,
}


def ledger(folder: str | Path) -> Ledger:
    """The provider of the run in that folder."""
    return Ledger(Path(folder) / "ledger")


def entries(folder: str | Path, kind: str) -> list[Entry]:
    """What a small operation's provider has accepted, oldest first."""
    return ledger(folder).of(f"conformance.{kind}")


def small(desk: Desk) -> Workflow[str, str]:
    """ask → work → tell: `work` is the small operation."""
    options = desk.small
    adapter = OPERATIONS[options.operation](desk.folder / "ledger", **options.options)
    _watch(adapter, desk)

    @node
    async def ask(topic: str, ctx: Context) -> str:
        desk.note(ctx)
        return topic

    def request(value: str, _context: Context) -> dict[str, Any]:
        return {"text": value, **options.request}

    def finish(value: Any) -> str:
        if options.bad_answer:
            raise ValueError(f"nobody can read {json.dumps(value)}")
        return cast("str", value["text"])

    work = OperationNode[str, str](
        "work",
        input=str,
        output=str,
        operation=adapter,
        request=request,
        finish=finish,
        retries=options.retries,
        on_unknown_submit=options.on_unknown_submit,
        polling=Polling(first=0.05, cap=0.1, deadline=options.deadline),
    )

    @node
    async def tell(text: str, ctx: Context) -> str:
        desk.note(ctx)
        return f"told: {text}"

    workflow = Workflow("small", start=ask, end=tell)
    workflow.edge(ask, work)
    workflow.edge(work, tell)
    return workflow


def pause(desk: Desk) -> Workflow[str, str]:
    """ask → pause → tell: `pause` is a timer."""

    @node
    async def ask(topic: str, ctx: Context) -> str:
        desk.note(ctx)
        return topic

    @timer(name="pause")
    def wait(_text: str) -> timedelta:
        return timedelta(seconds=desk.small.pause)

    @node
    async def tell(text: str, ctx: Context) -> str:
        desk.note(ctx)
        return f"told: {text}"

    workflow = Workflow("pause", start=ask, end=tell)
    workflow.edge(ask, wait)
    workflow.edge(wait, tell)
    return workflow


def _watch(adapter: Any, desk: Desk) -> None:
    """Have the desk told before and after each thing that is asked of the adapter."""
    for verb in VERBS:
        if hasattr(adapter, verb):
            setattr(adapter, verb, _watched(getattr(adapter, verb), verb, desk))


def _watched(ask: Callable[..., Any], verb: str, desk: Desk) -> Callable[..., Any]:
    async def watched(*given: Any) -> Any:
        desk.reached("before", verb)
        answer = await ask(*given)
        desk.reached("after", verb)
        return answer

    return watched


SMALL_WORKFLOWS = {"small": small, "pause": pause}

"""A provider that is not OpenAI, and its adapter, written as a user would write one: batches of work.

It differs from background responses in all that the protocol leaves open: a handle has two ids, a cancel is
acknowledged first and done later, nothing can be streamed. `Works` is the provider's side and outlives every
executor, as a provider does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perdure.nodes import (
    Context,
    ContinuationToken,
    OnUnknownSubmit,
    OperationCancelledError,
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    OperationNode,
)
from perdure.nodes.operations import (
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Json,
    Outcome,
    Running,
    Succeeded,
)


@dataclass
class Batch:
    """One piece of work at the provider. `status` is the provider's word for it."""

    id: str
    key: str
    request: dict[str, Json]
    status: str = "in_progress"
    polls: int = 0
    cancels: int = 0

    @property
    def text(self) -> str:
        """What was asked for."""
        return str(self.request["text"])


@dataclass
class Works:
    """The provider. It finishes what it is asked for at the first poll, unless `hold` is set."""

    hold: bool = False
    batches: dict[str, Batch] = field(default_factory=dict[str, Batch])
    before: list[BaseException] = field(default_factory=list[BaseException])
    """Raised by the next submissions, before anything is accepted."""
    after: list[BaseException] = field(default_factory=list[BaseException])
    """Raised by the next submissions, after they were accepted."""
    gate: asyncio.Event | None = None
    """Submissions are accepted, and answered once this is set."""
    polling: Callable[[Batch], None] | None = None
    """Called at each poll, before it is answered."""

    @property
    def asked(self) -> list[str]:
        """The texts of all submissions, in order."""
        return [batch.text for batch in self.batches.values()]

    @property
    def one(self) -> Batch:
        """The only batch."""
        (batch,) = self.batches.values()
        return batch

    def accept(self, request: Mapping[str, Json], key: str) -> Batch:
        batch = Batch(id=f"batch-{len(self.batches) + 1}", key=key, request=dict(request))
        self.batches[batch.id] = batch
        return batch


class BatchOperation:
    """The adapter: what a user writes to have another provider driven. Polls quickly, because tests wait."""

    provider = "works.batches"

    def __init__(self, works: Works, *, every: float = 0.01) -> None:
        self.works = works
        self.every = every

    async def prepare(self) -> None:
        """Nothing to get ready."""

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        await asyncio.sleep(0)  # an adapter goes over the network
        if self.works.before:
            raise self.works.before.pop(0)
        batch = self.works.accept(request, key)
        if self.works.gate is not None:
            await self.works.gate.wait()
        if self.works.after:
            raise self.works.after.pop(0)
        return self._token(batch.id)

    def poll_after(self, token: ContinuationToken) -> float:
        return self.every

    def adopt(self, handle: str) -> ContinuationToken:
        return self._token(handle)

    async def poll(self, token: ContinuationToken) -> Outcome:
        await asyncio.sleep(0)
        batch = self.works.batches.get(str(token.handle["batch"]))
        if batch is None:
            return Expired(
                error=OperationExpiredError(f"No batch {token.handle['batch']} is known.", code="404")
            )
        batch.polls += 1
        if self.works.polling is not None:
            self.works.polling(batch)
        if batch.status == "in_progress" and not self.works.hold:
            batch.status = "completed"
        return self._said(batch, token)

    async def cancel(self, token: ContinuationToken) -> Outcome:
        """The first request is acknowledged, the second finds it done."""
        await asyncio.sleep(0)
        batch = self.works.batches[str(token.handle["batch"])]
        batch.cancels += 1
        if batch.status == "in_progress":
            batch.status = "cancelling"
            return Running(token=token, retry_after=self.every, status=batch.status)
        if batch.status == "cancelling":
            batch.status = "cancelled"
        return self._said(batch, token)

    def _token(self, batch: str) -> ContinuationToken:
        handle: dict[str, Json] = {"batch": batch, "output_file": f"file-of-{batch}"}
        return ContinuationToken(provider=self.provider, handle=handle, created_at=time.time())

    def _said(self, batch: Batch, token: ContinuationToken) -> Outcome:
        match batch.status:
            case "completed":
                return Succeeded(value={"lines": [f"done: {batch.text}"]}, usage={"lines": 1})
            case "failed":
                return Failed(
                    error=OperationFailedError("The batch broke down.", code="breakdown"), retryable=True
                )
            case "hopeless":
                return Failed(error=OperationFailedError("The batch can't be made.", code="hopeless"))
            case "incomplete":
                return Incomplete(
                    error=OperationIncompleteError("The batch ran over.", code="limit", partial="done: a")
                )
            case "cancelled":
                return Cancelled(error=OperationCancelledError("The batch was cancelled.", code="cancelled"))
            case _:
                return Running(token=token, retry_after=self.every, status=batch.status)


def batch_node(
    name: str,
    works: Works,
    *,
    retries: int = 3,
    on_unknown_submit: OnUnknownSubmit = "resubmit",
    request: Callable[[str], Mapping[str, Json]] | None = None,
    finish: Callable[[Json], str] | None = None,
    every: float = 0.01,
) -> OperationNode[str, str]:
    """A node that has a text worked on."""

    def ask(text: str, _context: Context) -> Mapping[str, Json]:
        return {"text": text} if request is None else request(text)

    def first_line(value: Json) -> str:
        assert isinstance(value, dict)
        lines = value["lines"]
        assert isinstance(lines, list)
        return str(lines[0])

    return OperationNode[str, str](
        name,
        input=str,
        output=str,
        operation=BatchOperation(works, every=every),
        request=ask,
        finish=finish or first_line,
        retries=retries,
        on_unknown_submit=on_unknown_submit,
    )

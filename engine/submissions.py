"""Submitting long-running operations: intent, submission, token; and what to do when the fate is unknown.

The order is the promise. The intent (the complete request and its key) is committed before the submission
goes out, the token before anything else happens. When the process dies

- before the intent's commit: nothing was sent; the node starts again;
- between the intent's commit and the token's: the fate is unknown, `submit_unknown`, the policy decides;
- after the token's commit: the token is there, and polling goes on (`polls.py`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, assert_never

from ..checkpoints import (
    ActivationColumns,
    ActivationRecord,
    ActivationState,
    StoreError,
    Value,
    pack,
    unpack,
)
from ..nodes import (
    Cancellable,
    ContinuationToken,
    Operation,
    OperationNode,
    SubmissionRejectedError,
    SubmissionUnknownError,
)
from . import backoff
from .errors import HandleNotCommittedError
from .events import Address, SubmissionIntended, SubmissionUnknown, Submitted
from .failure import describe, sentence
from .functions import context, idempotency_key

if TYPE_CHECKING:
    from .driver import Driver
    from .runtime import Runtime

log = logging.getLogger("perdure")
S = ActivationState

AT_ONCE = 64
"""How many submissions an executor has under way at once."""


class Submissions:
    """The submissions of an executor."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places = asyncio.Semaphore(AT_ONCE)
        self._shielded: set[asyncio.Task[Any]] = set()

    def shielded(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task is between the commit of an intent and that of its token: nothing cancels it."""
        return task in self._shielded

    @property
    def under_way(self) -> set[asyncio.Task[Any]]:
        """The tasks that are."""
        return set(self._shielded)

    # -- intent and submission ---------------------------------------------------------------------------

    async def start(self, driver: Driver, address: Address, node: OperationNode[Any, Any]) -> None:
        """A first submission, or that of a new attempt: build the request, commit it as intent, send it."""
        await node.operation.prepare()  # what it raises stops the driving: nothing was sent, nothing is lost
        try:
            value, _ = await driver.values.input(address)
            request = Value(pack(dict(node.request(value, context(driver, address)))))
        except StoreError:  # its input could not be read: no fault of the node's
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the boundary: every error of a node is committed
            await driver.fail(address, error)
            return
        async with self._places:
            if driver.state_of(address) is S.RUNNING and not self._runtime.stopping:
                await self._submit(driver, address, node, request)

    async def resubmit(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        unknown: int,
        messages: tuple[int, ...] = (),
    ) -> None:
        """Send the same bytes under the same key again, because nobody knows what became of them.

        `unknown` is the count of unknown fates on which this was decided; when there is one more by the time that
        it is our turn, somebody else has submitted it meanwhile, and this decision is spent. The messages that asked for it are dealt with by the intent's commit, so that a crash loses none.
        """
        await node.operation.prepare()
        request = await self._runtime.store.request(driver.key, driver.state.key(address))
        assert request is not None, f"run {driver.run_id}: {address} was submitted without an intent"
        async with self._places:
            if driver.state_of(address) is S.SUBMIT_UNKNOWN and not self._runtime.stopping:
                await self._submit(driver, address, node, request, unknown=unknown, messages=messages)

    async def _submit(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        request: Value,
        *,
        unknown: int | None = None,  # None: a new attempt
        messages: tuple[int, ...] = (),
    ) -> None:
        new = unknown is None
        activation = driver.state.find(address)
        assert activation is not None
        first = new and activation.attempt == 1
        row = None if first else await self._runtime.store.activation(driver.key, driver.state.key(address))
        if activation.state is not (S.RUNNING if new else S.SUBMIT_UNKNOWN):
            return  # it was cancelled, answered or submitted while its row was read
        if not new and driver.state.outcome is not None:
            return  # the run fails meanwhile: it is settled when the run is retried
        if not new and row is not None and row.unknown != unknown:
            return  # another decision was faster
        columns = ActivationColumns(submission=1 if row is None else row.submission + 1, wake_at=None)
        if new:
            columns["request"] = request
        key = f"{idempotency_key(driver.run_id, address)}-{activation.attempt}"
        task = asyncio.current_task()
        assert task is not None
        self._shielded.add(task)  # from before the intent's commit, so that nobody cancels in between
        try:
            await driver.apply(
                (SubmissionIntended(address), columns, {"key": key, "submission": columns.get("submission")}),
                messages=messages,
            )
            try:
                token = await node.operation.submit(unpack(request.data), key)
            except SubmissionRejectedError as error:
                await self._rejected(driver, address, node, error)
            except (Exception, asyncio.CancelledError) as error:  # any other error: an unknown fate
                if isinstance(error, asyncio.CancelledError) and task.cancelling():
                    raise  # the wait for it has an end; what it raises by itself is an error as any other
                await self._unknown(driver, address, node, error, 1 if row is None else row.unknown + 1)
            else:
                await self._submitted(driver, address, node, token)
        finally:
            self._shielded.discard(task)

    # -- the reply ---------------------------------------------------------------------------------------

    async def _submitted(
        self, driver: Driver, address: Address, node: OperationNode[Any, Any], token: ContinuationToken
    ) -> None:
        wake_at = self._runtime.clock() + node.operation.poll_after(token)
        try:
            await self.adopt(driver, address, token, wake_at, tell=False)
        except Exception as error:  # noqa: BLE001  # whatever it is, the handle must not be lost with it
            driver.abort(await self._not_committed(driver, address, node.operation, token, error))

    async def _not_committed(
        self,
        driver: Driver,
        address: Address,
        operation: Operation,
        token: ContinuationToken,
        error: Exception,
    ) -> Exception:
        """Leave a handle that this driver can't commit to the next one. The error to tell to those who wait."""
        try:
            await self._hand_over(driver, address, operation, token)
        except Exception as late:  # noqa: BLE001  # the boundary: then a person must keep the handle
            told = HandleNotCommittedError(
                f"Run {driver.run_id}: the handle of {address} could not be committed: {late} The provider knows it "
                f"as {dict(token.handle)}. When the database can be written again: perdure answer {driver.run_id} "
                f"'{address}' {token.handle.get('id', '')}"
            )
            told.__cause__ = error
            log.error("%s", told)  # those who wait may have got another error of this run already
            return told
        return error

    async def adopt(
        self,
        driver: Driver,
        address: Address,
        token: ContinuationToken,
        wake_at: float,
        messages: tuple[int, ...] = (),
        *,
        tell: bool = True,
    ) -> None:
        """Commit a token; from here on the operation is polled (or cancelled, if the run is ending).

        `tell` is as in `Driver.apply`.
        """
        data = token.to_dict()
        columns = ActivationColumns(token=pack(data), wake_at=wake_at)
        await driver.apply((Submitted(address), columns, {"token": data}), messages=messages, tell=tell)
        if driver.state_of(address) is S.WAITING:
            self._runtime.poller.add(wake_at, driver.key, driver.state.key(address))

    async def _hand_over(
        self, driver: Driver, address: Address, operation: Operation, token: ContinuationToken
    ) -> None:
        """The run is not ours any more: leave the handle to its next owner, or cancel it."""
        run = await self._runtime.store.run(driver.run_id)
        if run.status.finished:
            log.warning("run %s has ended without %s; cancelling it at the provider", run.id, address)
            if isinstance(operation, Cancellable):
                await operation.cancel(token)
            return
        await self._runtime.store.post(
            run.key, "late_token", address.node, address.path, pack({"token": token.to_dict()})
        )
        log.warning("run %s: the late handle of %s is left to the run's next owner", run.id, address)

    async def _rejected(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        error: SubmissionRejectedError,
    ) -> None:
        activation = driver.state.find(address)
        assert activation is not None
        if (
            error.retryable
            and driver.state.outcome is None
            and backoff.retries_left(activation.attempt, node.retries)
        ):
            delay = error.retry_after
            if delay is None:
                delay = backoff.delay(activation.attempt % (node.retries + 1), self._runtime.random)
            await self._runtime.back_off(driver, address, self._runtime.clock() + delay, error)
        else:
            await driver.fail(address, error)

    # -- the unknown -------------------------------------------------------------------------------------

    async def _unknown(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        error: BaseException,
        unknown: int,
    ) -> None:
        """Commit that the fate is unknown, then do what the node's policy says."""
        delay = error.retry_after if isinstance(error, SubmissionUnknownError) else None
        if delay is None:
            delay = backoff.delay(unknown, self._runtime.random)
        wake_at = self._runtime.clock() + delay
        columns = ActivationColumns(
            unknown=unknown,
            wake_at=None if node.on_unknown_submit == "ask" else wake_at,  # a person has no time set
            error=pack(describe(error)),
        )
        note = {"error": sentence(describe(error)), "unknown": unknown}
        await driver.apply((SubmissionUnknown(address), columns, note))
        if driver.state_of(address) is S.SUBMIT_UNKNOWN and driver.state.outcome is None:
            await self._policy(driver, address, node, unknown, wake_at, error)

    async def interrupted(self, driver: Driver, address: Address, record: ActivationRecord) -> None:
        """The process died between the commit of an intent and that of its token."""
        error = SubmissionUnknownError(
            "The process that submitted it ended before the handle was committed: the provider may have accepted it.",
            code="interrupted",
        )
        node = None if driver.workflow is None else driver.workflow.node(address.node)
        asks = isinstance(node, OperationNode) and node.on_unknown_submit == "ask"
        columns = ActivationColumns(
            unknown=record.unknown + 1,
            wake_at=None if asks else self._runtime.clock(),
            error=pack(describe(error)),
        )
        await driver.apply(
            (
                SubmissionUnknown(address),
                columns,
                {"error": sentence(describe(error)), "unknown": record.unknown + 1},
            )
        )

    async def settle(self, driver: Driver, address: Address) -> None:
        """Apply the node's policy to a submission of unknown fate, found at recovery or by a retry."""
        node = driver.node(address)
        assert isinstance(node, OperationNode)
        record = await self._runtime.store.activation(driver.key, driver.state.key(address))
        assert record is not None
        failure: Any = {} if record.error is None else unpack(record.error)
        error = SubmissionUnknownError(failure.get("message", "unknown"), code=failure.get("code"))
        wake_at = record.wake_at or 0.0
        await self._policy(driver, address, node, record.unknown, wake_at, error)

    async def _policy(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        unknown: int,
        wake_at: float,
        error: BaseException,
    ) -> None:
        match node.on_unknown_submit:
            case "resubmit" if backoff.retries_left(unknown, node.retries):
                log.warning(
                    "run %s: the fate of the submission of %s is unknown (%s); submitting it again",
                    driver.run_id,
                    address,
                    error,
                )
                # By way of the poller, also when it is time now: whoever is here may hold a place of the submissions.
                self._runtime.poller.add(wake_at, driver.key, driver.state.key(address))
            case "resubmit" | "fail":
                await driver.fail(
                    address,
                    SubmissionUnknownError(
                        f"The fate of {unknown} submission(s) is unknown, and the provider may have accepted them: "
                        f"{error}",
                        code=getattr(error, "code", None),
                    ),
                )
            case "ask":
                log.warning(
                    "run %s waits: the provider may have accepted the submission of %s (%s). Decide with: "
                    "perdure answer %s '%s' resubmit|fail|HANDLE",
                    driver.run_id,
                    address,
                    error,
                    driver.run_id,
                    address,
                    extra={"waits_for_person": True},  # whoever says so by other means can leave it out
                )
            case _:
                assert_never(node.on_unknown_submit)

    async def give_up(self, driver: Driver, address: Address, messages: tuple[int, ...] = ()) -> None:
        """A person decided that a submission of unknown fate is to count as failed."""
        error = SubmissionUnknownError(
            "The fate of the submission is unknown, and it was decided to count it as failed.",
            code="answered",
        )
        await driver.fail(address, error, messages=messages)

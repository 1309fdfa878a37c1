"""`Submit`: send a request whose intent is committed, and say what is known of it then.

The order is the promise: the intent (the complete request and its key) is committed before, the token right after. When
the process dies

- before the intent's commit: nothing was sent; the node starts again;
- between the intent's commit and the token's: the fate is unknown, and the core decides what follows;
- after the token's commit: the token is there, and polling goes on.
"""

from __future__ import annotations

import asyncio
import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import Request
from ....nodes.errors import SubmissionRejectedError, SubmissionUnknownError
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Paced, has_capability
from ....nodes.operations.protocol import Operation
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import OperationAddress, submission_key
from ...core.book import Change
from ...core.commands import Submit
from ...core.policy import Policy, poll_interval
from ...failures import describe, said, sentence
from .._shared import OwnedRun

log = logging.getLogger("perdure")


async def perform(owned: OwnedRun, command: Submit) -> Change | None:
    """Send the request once."""
    work = await owned.work()
    if work is None:
        return None
    operation = command.operation
    node = owned.node(operation.address.node)
    assert isinstance(node, OperationNode)
    request = work.requests.pop(operation, None)
    if request is None:
        request = await work.values.stored(Request(work.state.operation_key(operation)))
    assert request is not None, f"run {owned.run_id}: {operation} was submitted without an intent"
    try:
        token = await node.operation.submit(unpack(request.data), submission_key(work.nonce, operation))
    except SubmissionRejectedError as error:
        return _refused(owned, operation, error)
    except (Exception, asyncio.CancelledError) as error:  # any other error: an unknown fate
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # the wait for it has an end; what it raises by itself is an error as any other
        return unknown(owned, operation, _may_have_accepted(error))
    at = owned.shared.clock()
    poll_after = first_poll(node.operation, token, owned.policy(node.name), owned)
    data = token.to_dict()
    return Change(
        events.Submitted(at, operation, poll_after, handle_text(token)),
        operation={"token": pack(data)},
        note={"token": data},
    )


def first_poll(adapter: Operation, token: ContinuationToken, policy: Policy, owned: OwnedRun) -> float:
    """Seconds until a fresh token is asked after."""
    if has_capability(adapter, Paced):
        return adapter.poll_after(token)
    return poll_interval(policy, 0.0, owned.shared.random.random())


def handle_text(token: ContinuationToken) -> str:
    """The provider's id or ids in one line."""
    return " ".join(str(value) for value in token.handle.values() if isinstance(value, str | int))


def _refused(owned: OwnedRun, operation: OperationAddress, error: SubmissionRejectedError) -> Change:
    failure = describe(error)
    packed = pack(failure)
    return Change(
        events.SubmissionRefused(
            owned.shared.clock(), operation, owned.shared.random.random(), error.retryable, error.retry_after
        ),
        {"error": packed},
        {"error": packed},
        {"error": packed},
        failure=failure,
        cause=error,
    )


def _may_have_accepted(error: BaseException) -> SubmissionUnknownError:
    """The error, as what it means here."""
    if isinstance(error, SubmissionUnknownError):
        return error
    told = SubmissionUnknownError(
        f"The provider may have accepted the submission: {type(error).__name__}: {said(error)}",
        code=getattr(error, "code", None),
    )
    told.__cause__ = error
    return told


def unknown(owned: OwnedRun, operation: OperationAddress, error: SubmissionUnknownError) -> Change:
    """The provider may have accepted the submission."""
    failure = describe(error)
    packed = pack(failure)
    log.warning(
        "run %s: the fate of the submission of %s is unknown (%s)", owned.run_id, operation, sentence(failure)
    )
    return Change(
        events.SubmissionUnknown(
            owned.shared.clock(), operation, owned.shared.random.random(), error.retry_after
        ),
        {"error": packed},
        operation={"error": packed},
        submission={"error": packed},
        failure=failure,
        cause=error,
    )

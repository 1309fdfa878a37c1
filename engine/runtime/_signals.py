"""Signals: what other processes left for the runs that are driven here. Each is acted on once.

A signal is deleted by the transition that records what it led to. Kinds that this version does not know stay where
they are.
"""

from __future__ import annotations

import logging
from enum import Enum, auto

from ...checkpoints.codec import pack, unpack
from ...checkpoints.errors import StoreError
from ...checkpoints.records import Signal
from ...nodes.errors import SubmissionUnknownError
from ...nodes.operation_node import OperationNode
from ...nodes.operations.capabilities import Adoptable, has_capability
from ...nodes.operations.tokens import ContinuationToken
from ..core import events
from ..core.addresses import Address, OperationAddress
from ..core.book import Change
from ..core.commands import Effect
from ..core.handles import meaning, with_rows
from ..core.requests import cancel_requested, undecided
from ..errors import AnswerError
from ..failures import describe
from ..signal_data import read_fate, read_handle
from ._driver import Driver
from ._shared import OwnedRun, ends_the_task

log = logging.getLogger("perdure")


class Left(Enum):
    """That a signal stays where it is."""

    FOR_NOW = auto()
    """What it means can't be said yet: act on it again."""
    FOR_GOOD = auto()
    """It can't be acted on here."""


async def act(driver: Driver, signal: Signal) -> list[Effect] | Left:
    """Commit what the signal leads to; what follows is the caller's to begin.

    A signal that can't be acted on stops no run: that is logged, and the signal is kept for a person to look at. Where
    the recovery of a run and the watch have both read one, it is acted on once.
    """
    if signal.id in driver.signals:
        return []
    driver.signals.append(signal.id)
    try:
        return await _act(driver, signal)
    except StoreError:  # the run itself can't go on
        raise
    except BaseException as error:  # the boundary of one signal
        if ends_the_task(error):
            raise
        log.exception("run %s: signal %d can't be acted on and is left", driver.run_id, signal.id)
        return Left.FOR_GOOD


async def _act(driver: Driver, signal: Signal) -> list[Effect] | Left:
    address = None if signal.node is None else Address(signal.node, signal.path)
    match signal.kind:
        case "cancel":
            return await request_cancel(driver, (signal.id,))
        case "handle" if address is not None:
            operation, submission, token = read_handle(address, unpack(signal.data))
            return await _late_handle(
                driver, operation, submission, ContinuationToken.from_dict(token), signal.id
            )
        case "fate" if address is not None:
            operation, reply = read_fate(address, unpack(signal.data))
            try:
                return await decide_fate(driver, operation, reply, (signal.id,))
            except AnswerError as error:  # it came too late
                log.warning("%s", error)
                if signal.id in driver.shared.answers:
                    driver.shared.answers[signal.id] = error
                return await driver.commit((), signals=(signal.id,))
        case _:
            log.warning(
                "run %s: a signal of kind %r is unknown to this version and is left",
                driver.run_id,
                signal.kind,
            )
            return Left.FOR_GOOD


async def request_cancel(driver: Driver, signals: tuple[int, ...] = ()) -> list[Effect]:
    """Commit that the run is to end."""
    event = cancel_requested(driver.state, driver.shared.clock())
    changes = () if event is None else (Change(event),)
    return await driver.commit(changes, signals=signals)


async def decide_fate(
    driver: Driver, operation: OperationAddress, reply: str, signals: tuple[int, ...] = ()
) -> list[Effect]:
    """Decide a submission of unknown fate: `resubmit`, `fail`, or the provider's handle to adopt.

    Raises `AnswerError` when no fate is unknown there any more.
    """
    known = undecided(driver.state, operation)
    if known is None:
        activation = driver.state.find(operation.address)
        now = "unknown" if activation is None else activation.state
        raise AnswerError(
            f"Run {driver.run_id}: {operation} waits for no answer any more, it is {now}.",
            run_id=driver.run_id,
        )
    at = driver.shared.clock()
    if reply == "resubmit":
        return await driver.commit([Change(events.FateDecided(at, operation, "resubmit"))], signals=signals)
    if reply == "fail":
        error = SubmissionUnknownError(_FAILED.format(known.unknown), code="decided")
        failure = describe(error)
        packed = pack(failure)
        change = Change(
            events.FateDecided(at, operation, "fail"),
            {"error": packed},
            {"error": packed},
            failure=failure,
            cause=error,
        )
        return await driver.commit([change], signals=signals)
    token = _adopted(driver.owned, operation, reply)
    found = events.HandleFound(at, operation, known.submission, "person", token.handle_text)
    data = token.to_dict()
    return await driver.commit(
        [Change(found, operation={"token": pack(data)}, note={"token": data})], signals=signals
    )


_FAILED = "The fate of {} submission(s) is unknown, and the provider may have accepted them: a person decided to fail the node."


def _adopted(owned: OwnedRun, operation: OperationAddress, handle: str) -> ContinuationToken:
    node = owned.node(operation.address.node)
    adapter = node.operation if isinstance(node, OperationNode) else None
    if not has_capability(adapter, Adoptable):
        raise AnswerError(
            f"Run {owned.run_id}: {operation} can't adopt {handle!r}: answer resubmit or fail.",
            run_id=owned.run_id,
        )
    return adapter.adopt(handle)


async def _late_handle(
    driver: Driver, operation: OperationAddress, submission: int, token: ContinuationToken, signal: int
) -> list[Effect] | Left:
    """A handle that a former owner got too late: what it means is the core's to say.

    Raises `IllegalEventError` where the operation has no such submission.
    """
    handle, data = token.handle_text, token.to_dict()
    found = events.HandleFound(driver.shared.clock(), operation, submission, "former_owner", handle)
    if driver.state.operation(operation) is None:  # for good, so its rows say the same when this is committed
        found = with_rows(found, await driver.shared.store.read(lambda view: view.submissions(driver.run)))
    packed = pack(data)
    match meaning(driver.state, found):
        case None:
            driver.signals.remove(signal)
            return Left.FOR_NOW
        case "adopt":
            change = Change(found, operation={"token": packed}, note={"token": data})
        case "same":
            change = Change(found)
        case "stray":
            change = Change(found, submission={"token": packed}, note={"token": data})
    return await driver.commit([change], signals=(signal,))

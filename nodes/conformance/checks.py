"""The checks that every adapter passes: `OperationChecks`. Those of capabilities are in `capability_checks.py`."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, ClassVar, Final, TypeVar, cast

import pytest

from ...checkpoints.codec import pack, unpack
from ..errors import OperationError
from ..operations import capabilities
from ..operations.capabilities import Findable, Idempotent, Local, Once
from ..operations.outcomes import Outcome, Running
from ..operations.protocol import Operation
from ..operations.tokens import ContinuationToken, Json
from ._walk import Walked, walk
from .subject import Subject

T = TypeVar("T")

PATIENCE: Final = 100.0
"""Seconds of real time after which a check fails."""

CAPABILITIES: Final[tuple[type, ...]] = (
    capabilities.Adoptable,
    capabilities.Cancellable,
    capabilities.Conversational,
    capabilities.Findable,
    capabilities.Idempotent,
    capabilities.Local,
    capabilities.Once,
    capabilities.Paced,
    capabilities.Receiving,
    capabilities.Streamable,
)
"""All that an adapter can do beyond what every operation can."""


class Checks:
    """What all classes of checks have in common. `subject` is a fixture of the class that takes them."""

    capability: ClassVar[type | None] = None
    """The capability that the class checks."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The adapter and its provider."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `subject` that returns a Subject.")


class OperationChecks(Checks):
    """What every operation promises, checked by killing its driver at every instant of its life."""

    kills: ClassVar[int] = 1
    """How many kills a walk gets at most; with 2 every pair of instants is tried, which takes its time."""

    def test_it_has_what_every_operation_has(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Operation)
                assert operation.provider

        run(check())

    def test_each_of_its_capabilities_is_checked(self, subject: Subject) -> None:
        """An adapter that can do something takes the class of checks for it, and no other."""
        checked = {
            checks.__dict__["capability"]
            for checks in type(self).__mro__
            if issubclass(checks, Checks) and checks.__dict__.get("capability")
        }

        async def check() -> None:
            async with subject.process() as operation:
                able = {capability for capability in CAPABILITIES if isinstance(operation, capability)}
                assert able == checked, f"{type(self).__name__} takes the checks of {checked}"

        run(check())

    def test_a_token_survives_storage(self, subject: Subject) -> None:
        async def check() -> None:
            before = subject.now()
            async with subject.process() as operation:
                token = await submit(operation, subject, new_key())
                assert token.provider == operation.provider
                assert before - 1 <= token.created_at <= subject.now() + 1
            again = stored(token)
            assert again == token
            assert ContinuationToken.from_dict(json.loads(json.dumps(token.to_dict()))) == token
            async with subject.process() as operation:
                assert not isinstance(await end_of(operation, subject, again), Running)

        run(check())

    def test_an_end_stays_the_end(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                if isinstance(operation, Once):
                    return  # there is nothing left to ask
                token = await submit(operation, subject, new_key())
                end = await end_of(operation, subject, token)
                assert told(await operation.poll(token)) == told(end)
            async with subject.process() as operation:
                assert told(await operation.poll(stored(token))) == told(end)

        run(check())

    def test_a_token_of_another_provider_is_refused(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                token = await submit(operation, subject, new_key())
                with pytest.raises(OperationError):
                    await operation.poll(replace(token, provider="conformance.another"))

        run(check())

    def test_killed_at_any_instant_it_comes_to_the_same_end(self, subject: Subject) -> None:
        """And is never accepted twice without a record of an unknown fate, nor fetched twice."""

        async def check() -> None:
            for request in (subject.request, subject.troubled):
                if request is not None:
                    await check_kills(subject, request, self.kills)

        run(check())


async def check_kills(subject: Subject, request: Mapping[str, Json], kills: int) -> Walked:
    """Walk once without a kill, then with kills everywhere. Raise unless all is honest and comes to the same end.

    Returns the walk without a kill.
    """
    alive = await walk(subject, request, new_key())
    assert alive.end["kind"] == "Succeeded", f"the subject's request must succeed; it came to {alive.end}"
    await check_honest(subject, alive)
    for numbers in instants(alive, kills):
        walked = await walk(subject, request, new_key(), kills=numbers)
        assert walked.kills
        await check_honest(subject, walked)
        if walked.end["kind"] not in ("Lost", "Held"):
            assert told_end(walked) == told_end(alive), walked.kills
            assert [operation["results"] for operation in walked.operations] == [
                operation["results"] for operation in alive.operations
            ]
    return alive


async def check_honest(subject: Subject, walked: Walked) -> None:
    """Raise unless what was paid for is what was recorded."""
    async with subject.process() as adapter:
        for operation in walked.operations:
            where = f"killed at {walked.kills}: {operation}"
            if subject.accepted is None:
                assert isinstance(adapter, Local), "Subject.accepted is missing"
                continue
            accepted = subject.accepted(operation["key"])
            known = 0 if operation["token"] is None else 1
            assert known <= accepted <= 1 + operation["unknown"], where
            if isinstance(adapter, Findable | Idempotent):
                assert accepted <= 1, f"submitted again instead of found: {where}"
            if isinstance(adapter, Once) and operation["token"] is not None:
                assert subject.fetched is not None, "Subject.fetched is missing"
                assert subject.fetched(ContinuationToken.from_dict(operation["token"])) <= 1, where
    for call in set(walked.calls):
        again = walked.kills.count(f"before called {call}")  # its result was lost with the process
        assert walked.calls.count(call) == 1 + again, f"{call} was made again: {walked.kills}"
    lost = walked.end["kind"] == "Lost"
    assert lost == any(name in _FETCHING for name in walked.kills), walked.kills


_FETCHING: Final = ("after fetching", "before fetched", "before not there yet")
"""Where a process may have taken a result that it has not kept."""


# -- what the checks share --------------------------------------------------------------------------------


def run(check: Coroutine[Any, Any, T]) -> T:
    """Run a check on an event loop of its own."""
    return asyncio.run(asyncio.wait_for(check, PATIENCE))


def new_key() -> str:
    """A key that no operation has."""
    return f"conformance-{uuid.uuid4()}"


def stored(token: ContinuationToken) -> ContinuationToken:
    """The token as another process reads it."""
    return ContinuationToken.from_dict(unpack(pack(token.to_dict())))


async def submit(
    operation: Operation, subject: Subject, key: str, request: Mapping[str, Json] | None = None
) -> ContinuationToken:
    """Begin an operation that nothing happens to."""
    request = subject.request if request is None else request
    await operation.prepare()
    if isinstance(operation, Local):
        return operation.open(request, key, subject.now())
    return await operation.submit(request, key)


async def end_of(operation: Operation, subject: Subject, token: ContinuationToken) -> Outcome:
    """Poll until it is not running."""
    return await until_not_running(operation.poll, subject, token)


async def until_not_running(
    ask: Callable[[ContinuationToken], Coroutine[Any, Any, Outcome]],
    subject: Subject,
    token: ContinuationToken,
) -> Outcome:
    """Ask again and again, as the provider or the subject says, until the outcome is not `Running`."""
    while isinstance(outcome := await ask(token), Running):
        token = outcome.token
        await subject.sleep(outcome.retry_after or subject.spacing)
    return outcome


def told(outcome: Outcome) -> tuple[object, ...]:
    """What an outcome says, to compare: errors are compared by code."""
    error = getattr(outcome, "error", None)
    value = getattr(outcome, "value", None)
    return type(outcome), value, None if error is None else error.code, dict(getattr(outcome, "usage", {}))


def told_end(walked: Walked) -> Mapping[str, Any]:
    """The end of a walk without what differs between two operations with the same request: ids."""
    end = dict(walked.end)
    value = end.get("value")
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).items()
        value = {name: part for name, part in parts if name not in ("id", "key", "handle")}
    end["value"] = _without_ids(value)
    return end


def _without_ids(value: Any) -> Any:
    """The value without the provider's ids of its parts, which differ from operation to operation."""
    if isinstance(value, list):
        return [_without_ids(item) for item in cast("Iterable[Any]", value)]
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).items()
        return {name: _without_ids(part) for name, part in parts if name != "id"}
    return value


def instants(walked: Walked, kills: int) -> Iterable[Collection[int]]:
    """Where to kill: at each instant, and at each pair where there are to be two kills."""
    numbers = range(len(walked.instants))
    for count in range(1, kills + 1):
        yield from combinations(numbers, count)

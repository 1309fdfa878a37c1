"""`walk`: takes an operation from its intent to its end as the engine does, and dies on the way as often as it is told.

Everything that is known of it is kept as packed plain data. To die means to forget every object; the next process
begins with the data alone. It is the smallest driver that keeps the promises, for checks of adapters: the engine's
decisions are made elsewhere, and tested there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from ...checkpoints.codec import pack, unpack
from ..errors import SubmissionRejectedError
from ..operations.capabilities import (
    Absent,
    CallResult,
    Cancellable,
    Conversational,
    Fetched,
    Findable,
    Finished,
    Found,
    Idempotent,
    Local,
    Once,
    Unavailable,
)
from ..operations.outcomes import (
    Asks,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Outcome,
    Running,
    Succeeded,
)
from ..operations.protocol import Operation
from ..operations.tokens import ContinuationToken, Json
from .subject import Subject

RESUBMISSIONS: Final = 2
"""How often an operation of unknown fate is submitted again where nobody can tell; then it is held."""

_State = dict[str, Any]


class _KilledError(Exception):
    """The process dies here."""


@dataclass(kw_only=True)
class Walked:
    """A walk that has come to its end."""

    data: bytes
    """All that was committed, packed."""
    instants: list[str] = field(default_factory=list[str])
    """Where a process could have died, in order: `before submitted`, `after submitted`, ..."""
    kills: list[str] = field(default_factory=list[str])
    """Where one did."""
    calls: list[str] = field(default_factory=list[str])
    """The ids of all calls of tools that were made, by all processes."""

    @property
    def operations(self) -> list[_State]:
        """The operations of the chain as they were committed, oldest first."""
        return unpack(self.data)["operations"]

    @property
    def end(self) -> Mapping[str, Any]:
        """How it ended: `kind` is the outcome's class, or `Held` or `Lost`, which are no outcomes."""
        return unpack(self.data)["end"]


async def walk(
    subject: Subject,
    request: Mapping[str, Json],
    key: str,
    *,
    kills: Collection[int] = (),
    resubmissions: int = RESUBMISSIONS,
) -> Walked:
    """Walk from the intent to the end; the processes die at the instants of these numbers, which count from 0.

    `resubmissions` is how often an operation of unknown fate is submitted again where nobody can tell.
    """
    walked = Walked(data=pack({"key": key, "operations": [_operation(request, key)], "end": None}))
    while True:
        try:
            async with subject.process() as operation:
                await _Process(subject, operation, walked, kills, resubmissions).run()
        except _KilledError:
            continue
        return walked


def _operation(request: Mapping[str, Json], key: str) -> _State:
    """An operation that is ready to be submitted."""
    return {
        "key": key,
        "request": dict(request),
        "state": "ready",
        "submissions": 0,
        "unknown": 0,
        "first_sent_at": None,
        "sent_at": None,
        "token": None,
        "strays": [],
        "fetched": None,
        "outcome": None,
        "results": {},
        "answer": None,
    }


class _Process:
    """One life of a process that drives the operation. What it has in memory beside the data is lost with it."""

    def __init__(
        self,
        subject: Subject,
        operation: Operation,
        walked: Walked,
        kills: Collection[int],
        resubmissions: int,
    ) -> None:
        self._subject = subject
        self._adapter = operation
        self._walked = walked
        self._kills = kills
        self._resubmissions = resubmissions
        self._data: _State = unpack(walked.data)

    @property
    def _current(self) -> _State:
        return self._data["operations"][-1]

    async def run(self) -> None:
        """Go on from what was committed, to the end."""
        match self._current["state"]:
            case "sent":  # the process before this one died between the intent and the token
                self._commit("unknown", state="unknown", unknown=self._current["unknown"] + 1)
            case "fetching":  # it died between asking for the result and keeping it
                self._end("Lost")
            case _:
                pass
        while self._data["end"] is None:
            await self._step()

    async def _step(self) -> None:
        match self._current["state"]:
            case "ready":
                await self._start()
            case "unknown":
                await self._settle()
            case "waiting":
                await self._ask()
            case "fetched":
                assert isinstance(self._adapter, Once)
                self._conclude(self._adapter.read(self._current["fetched"]["raw"]))
            case "asked":
                self._proceed()
            case state:
                raise AssertionError(f"there is no way on from {state}")

    # -- submitting ---------------------------------------------------------------------------------------

    async def _start(self) -> None:
        await self._adapter.prepare()
        if isinstance(self._adapter, Local):
            operation = self._current
            token = self._adapter.open(operation["request"], operation["key"], self._subject.now())
            self._commit("opened", state="waiting", token=token.to_dict())
        else:
            await self._submit()

    async def _submit(self) -> None:
        operation, now = self._current, self._subject.now()
        first = now if operation["first_sent_at"] is None else operation["first_sent_at"]
        self._commit(
            "intended",
            state="sent",
            submissions=operation["submissions"] + 1,
            sent_at=now,
            first_sent_at=first,
        )
        try:
            token = await self._adapter.submit(operation["request"], operation["key"])
        except SubmissionRejectedError as error:
            if not error.retryable:
                raise
            self._commit("refused", state="unknown" if operation["unknown"] else "ready")
            await self._subject.sleep(error.retry_after or self._subject.spacing)
        except Exception:  # noqa: BLE001  # any other error: the provider may have accepted it
            self._commit("unknown", state="unknown", unknown=operation["unknown"] + 1)
        else:
            self._commit("submitted", state="waiting", token=token.to_dict())

    async def _settle(self) -> None:
        """Find out what became of a submission, or send it again."""
        operation, now = self._current, self._subject.now()
        adapter = self._adapter
        if isinstance(adapter, Idempotent) and now < operation["first_sent_at"] + adapter.idempotent_for:
            await self._submit()
        elif isinstance(adapter, Findable):
            await self._find(adapter)
        elif operation["unknown"] <= self._resubmissions:
            await self._submit()
        else:
            self._end("Held")

    async def _find(self, adapter: Findable) -> None:
        operation = self._current
        finding = await adapter.find(operation["request"], operation["key"])
        match finding:
            case Found(tokens=(token, *others)):
                strays = [stray.to_dict() for stray in others]
                self._commit("found", state="waiting", token=token.to_dict(), strays=strays)
            case Found():
                raise AssertionError("Found has at least one token; nothing found is Absent")
            case Absent():
                settled_at = operation["sent_at"] + adapter.submit_takes + adapter.settles_within
                if self._subject.now() < settled_at:
                    await self._subject.sleep(settled_at - self._subject.now())
                elif operation["unknown"] <= self._resubmissions:
                    await self._submit()
                else:
                    self._end("Held")
            case Unavailable(retry_after=retry_after):
                await self._subject.sleep(retry_after or self._subject.spacing)
            case _:
                assert_never(finding)

    # -- waiting ------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        operation = self._current
        for stray in operation["strays"]:
            assert isinstance(self._adapter, Cancellable), "what was found twice can't be cancelled"
            while isinstance(await self._adapter.cancel(ContinuationToken.from_dict(stray)), Running):
                await self._subject.sleep(self._subject.spacing)
        if operation["strays"]:
            self._commit("strays cancelled", strays=[])
        token = ContinuationToken.from_dict(operation["token"])
        if isinstance(self._adapter, Once):
            self._commit("fetching", state="fetching")
            answer = await self._adapter.fetch(token)
            if isinstance(answer, Fetched):
                self._commit("fetched", state="fetched", fetched={"raw": answer.raw})
                return
            self._commit("not there yet", state="waiting", token=answer.token.to_dict())
            outcome: Outcome = answer
        else:
            outcome = await self._adapter.poll(token)
        self._conclude(outcome)
        if isinstance(outcome, Running):
            await self._subject.sleep(outcome.retry_after or self._subject.spacing)

    def _conclude(self, outcome: Outcome) -> None:
        match outcome:
            case Running():
                if outcome.token.to_dict() != self._current["token"]:
                    self._commit("moved", token=outcome.token.to_dict())
            case Calls() | Asks():
                stored = {"kind": type(outcome).__name__, "data": outcome.to_dict()}
                self._commit("asked", state="asked", outcome=stored)
            case Succeeded(value=value, usage=usage):
                self._end("Succeeded", value=value, usage=dict(usage))
            case Incomplete() | Failed() | Cancelled() | Expired():
                code = outcome.error.code
                self._end(type(outcome).__name__, code=code, usage=dict(outcome.usage))
            case _:
                assert_never(outcome)

    # -- going on -----------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Make the calls that were not made yet, or answer; then the next operation."""
        asked = _asked(self._current)
        match asked:
            case Calls(calls=calls):
                for call in calls:
                    if call.id not in self._current["results"]:
                        self._walked.calls.append(call.id)
                        result = self._subject.tools[call.name](call.arguments)
                        results = {**self._current["results"], call.id: {"value": result}}
                        self._commit(f"called {call.id}", results=results)
            case Asks():
                if self._current["answer"] is None:
                    self._commit("answered", answer={"value": self._subject.answer})
            case _:
                assert_never(asked)
        assert isinstance(self._adapter, Conversational), f"{asked!r} needs the capability Conversational"
        request = self._adapter.proceed([finished(operation) for operation in self._data["operations"]])
        number = len(self._data["operations"])
        self._data["operations"].append(_operation(request, f"{self._data['key']}-{number}"))
        self._keep("proceeded")

    # -- committing ---------------------------------------------------------------------------------------

    def _commit(self, what: str, **columns: Any) -> None:
        self._data["operations"][-1] = {**self._current, **columns}
        self._keep(what)

    def _end(self, kind: str, **columns: Any) -> None:
        self._data["end"] = {"kind": kind, **columns}
        self._keep(f"ended: {kind}")

    def _keep(self, what: str) -> None:
        self._instant(f"before {what}")
        self._walked.data = pack(self._data)
        self._data = unpack(self._walked.data)
        self._instant(f"after {what}")

    def _instant(self, name: str) -> None:
        number = len(self._walked.instants)
        self._walked.instants.append(name)
        if number in self._kills:
            self._walked.kills.append(name)
            raise _KilledError


def finished(operation: Mapping[str, Any]) -> Finished:
    """An operation that has asked for something, as `Conversational.proceed` takes it."""
    asked = _asked(operation)
    results: tuple[CallResult, ...] = ()
    if isinstance(asked, Calls):
        results = tuple(
            CallResult(id=call.id, value=operation["results"][call.id]["value"]) for call in asked.calls
        )
    answer = operation["answer"]
    return Finished(
        request=operation["request"],
        token=ContinuationToken.from_dict(operation["token"]),
        outcome=asked,
        results=results,
        answer=None if answer is None else answer["value"],
    )


def _asked(operation: Mapping[str, Any]) -> Calls | Asks:
    stored = operation["outcome"]
    kind = Calls if stored["kind"] == "Calls" else Asks
    return kind.from_dict(stored["data"])

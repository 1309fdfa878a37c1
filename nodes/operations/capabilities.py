"""What only some operations can do: one small protocol each, which an adapter has by having its methods.

The engine asks with `isinstance` and relies on nothing that an adapter does not have. `perdure.nodes.conformance`
checks each of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from typing_extensions import TypeIs

from ..context import Context
from .outcomes import Asks, Calls, Outcome, Running
from .protocol import Operation
from .tokens import ContinuationToken, Json

C = TypeVar("C")


@runtime_checkable
class Local(Protocol):
    """An operation that never leaves the process: a timer, a question to a person, a child run.

    The engine calls `open` instead of `submit` and commits the token with the node's start, without an intent. So
    there is no unknown fate: a process that died before that commit opens it again, with a later `at`.
    """

    def open(self, request: Mapping[str, Json], key: str, at: float) -> ContinuationToken:
        """The token of the operation. Pure: the same arguments give the same token, and nothing else happens.

        `at` is the time of the commit, seconds since the epoch. Raises `OperationError` for a request that
        makes no sense.
        """
        ...


@runtime_checkable
class Idempotent(Protocol):
    """An operation whose submission can be sent again under the same key.

    For `idempotent_for` seconds after the first sending, the engine submits again when a fate is unknown; the
    provider then answers with the handle that it had given. Later the key counts for nothing, and an unknown fate
    is treated as for any other operation. An adapter that chooses the handle itself answers "already exists" for it
    with its token.
    """

    @property
    def idempotent_for(self) -> float:
        """Seconds from the first sending within which the provider knows the key for certain."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The provider has operations of this request and key. The engine adopts the first and cancels the others."""

    tokens: tuple[ContinuationToken, ...]
    """At least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Absent:
    """The provider lists no such operation now; one that was accepted a moment ago may still appear."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unavailable:
    """The look-up was inconclusive."""

    problem: str
    retry_after: float | None = None
    """Seconds after which to look again, where the provider said so; None: the engine decides."""


Finding: TypeAlias = Found | Absent | Unavailable
"""What a look-up can say."""


@runtime_checkable
class Findable(Protocol):
    """An operation that can be looked for by what was submitted: a listing by metadata, a key of ours.

    The engine looks before it submits anything again. It believes `Absent` only when `submit_takes` and
    `settles_within` have passed since the last sending; earlier it looks again.
    """

    @property
    def settles_within(self) -> float:
        """Seconds after which an operation that was accepted is certainly listed."""
        ...

    @property
    def submit_takes(self) -> float:
        """The longest that a submission may be under way before the provider has accepted it, seconds."""
        ...

    async def find(self, request: Mapping[str, Json], key: str) -> Finding:
        """Look for what was accepted under this request and key. Changes nothing at the provider.

        Raises `ProviderUnavailableError` when looking again can't help.
        """
        ...


@runtime_checkable
class Cancellable(Protocol):
    """An operation that can be cancelled.

    The engine commits that it cancels, then calls `cancel` until the outcome is not `Running`, also after a crash. An
    operation that is not `Cancellable` runs on at the provider, and its outcome is ignored.
    """

    async def cancel(self, token: ContinuationToken) -> Outcome:
        """Ask the provider to cancel, and return what it answered. Idempotent.

        `Running` means: not acknowledged yet. An operation that had ended before is not changed by it: its
        outcome is returned. A handle that the provider does not know is `Expired`. Raises as `Operation.poll`.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamPiece:
    """A piece of text with the token that stands right after it."""

    token: ContinuationToken
    text: str
    end: Outcome | None = None
    """Set on the last piece only."""


@runtime_checkable
class Streamable(Protocol):
    """An operation whose text can be read while it is written.

    The engine commits each piece's text and token together and goes on from the last token that was committed, in
    this process or another, so that a reader gets each character once.
    """

    def stream(self, token: ContinuationToken) -> AsyncGenerator[StreamPiece, None]:
        """Go on right after `token.cursor`. Ends with a piece whose `end` is not `Running`.

        A stream that breaks off is continued by polls inside the adapter, and the last piece then holds exactly
        the rest of the text. Raises as `Operation.poll`.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CallResult:
    """What a call of a tool of ours came to."""

    id: str
    """The id of the `Call`."""
    value: Json = None
    """What the tool returned, where it did."""
    error: str | None = None
    """What to tell the model where the call failed or was refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """An operation of a chain that asked for something, with what it got. Plain data throughout."""

    request: Mapping[str, Json]
    token: ContinuationToken
    outcome: Calls | Asks
    results: tuple[CallResult, ...] = ()
    """One for each call of `Calls`, in the calls' order."""
    answer: Json = None
    """The answer to `Asks`."""


@runtime_checkable
class Conversational(Protocol):
    """An operation that can ask for calls of our tools or for answers, and go on with them in another operation.

    The engine commits each call's result, and each answer, before `proceed`; calls that were made are never made
    again. The request that `proceed` makes is committed as an intent and submitted under a key of its own, as any
    other. Without this capability `Calls` and `Asks` fail the node.
    """

    def proceed(self, operations: Sequence[Finished]) -> Mapping[str, Json]:
        """The next request of the chain, from all operations so far, oldest first. Pure.

        Raises `OperationError` when it can't go on with them.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """What a signal says: of which operation, and how that ended where the signal tells."""

    handle: Mapping[str, Json]
    outcome: Outcome | None = None
    """None: poll it."""


@runtime_checkable
class Receiving(Protocol):
    """An operation that is told of its end from outside: a webhook, an answer of a person, the end of a child run.

    Signals may come twice, late or never, and before the token is committed: the engine polls all the same, and the
    first outcome that is committed wins. Whoever hands a signal in has verified that it is the provider's.
    """

    def receive(self, signal: Mapping[str, Json]) -> Received:
        """Read a signal. Pure. Raises `OperationError` for one that is not this adapter's."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A result that the provider has handed out and does not have any more."""

    raw: Json
    """All of it, as it came."""


@runtime_checkable
class Once(Protocol):
    """An operation whose result can be fetched exactly once.

    The engine calls `fetch` in place of `Operation.poll`, which takes the result too and is for those who keep nothing.
    It commits that it is fetching before, and `raw` after,
    before it calls `read`. A process that died in between has lost the result: the operation is `lost`, and nothing
    is fetched or submitted again without a decision.
    """

    async def fetch(self, token: ContinuationToken) -> Running | Fetched:
        """Ask once, and take the result if it is there; every other end is `Fetched` as well.

        Raises as `Operation.poll`, then having taken nothing.
        """
        ...

    def read(self, raw: Json) -> Outcome:
        """What a fetched result says. Pure; called again after a crash."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An operation that knows when it is worth asking for the first time."""

    def poll_after(self, token: ContinuationToken) -> float:
        """Seconds to wait before the first poll of a fresh token; 0 for at once."""
        ...


@runtime_checkable
class Timed(Protocol):
    """An operation that asks what time it is. The engine has it ask the executor's clock."""

    def on_clock(self, clock: Callable[[], float]) -> Operation:
        """This adapter on that clock (seconds since the epoch), or as it is where it was given one of its own."""
        ...


@runtime_checkable
class PerContext(Protocol):
    """An operation whose account, key or server depends on the run: a client for each tenant.

    The engine asks for the adapter anew before each exchange, in this process or another: whatever may be awaited is
    called on what `in_context` gives. Without a context the adapter does only what is pure, and it has the
    capabilities of those that it gives.
    """

    def in_context(self, context: Context) -> Operation:
        """The adapter for this run. Quick; the same for the same run and node, whatever the process and the attempt.

        It is asked as well before a run is committed (outside of maps, as of the first attempt), so that what is
        missing is found then. Raises `ProviderUnavailableError` when there is none for the run: nothing is sent then.
        """
        ...


@runtime_checkable
class Adoptable(Protocol):
    """An operation whose handle is one word that a person can copy from a log or the provider's web page."""

    def adopt(self, handle: str) -> ContinuationToken:
        """A token for that handle. Asks nobody whether it exists."""
        ...


_KNOWN: dict[tuple[type, type], bool] = {}


def has_capability(adapter: object, capability: type[C]) -> TypeIs[C]:
    """Whether the adapter has the capability: `isinstance`, asked once for each class of adapters.

    Asking a runtime-checkable protocol costs more than the rest of a step.
    """
    key = (type(adapter), capability)
    known = _KNOWN.get(key)
    if known is None:
        known = _KNOWN[key] = isinstance(adapter, capability)
    return known

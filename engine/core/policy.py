"""`Policy`: what a node's options say, as plain data, and the arithmetic that follows from them.

A policy comes in with `RunStarted` or `PoliciesChanged` and is no part of the workflow's signature: tuning retries is no
change of the workflow. Times are seconds, moments are seconds since the epoch, `jitter` is drawn from [0, 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

OnUnknownSubmit: TypeAlias = Literal["resubmit", "fail", "hold"]
"""What to do when the provider may have accepted a submission whose handle we do not hold."""

RESUBMISSIONS = 2
"""How often an operation is submitted again after an unknown fate before it is held for a person."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 60.0
LONGEST_REFUSAL = 300.0
"""Seconds that a wait between two refused submissions never exceeds, unless the provider asked for more."""
UNKNOWN_RETRY_AFTER = 3600.0
"""Seconds that a provider's wish to wait is followed at most after an unknown fate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How a node is tried, asked after and given up."""

    concurrency: int | None = None
    """Of a map's target: how many of its activations may be under way at once. None: all."""
    retries: int = 0
    """How many attempts may follow the first one that failed, by themselves."""
    first_backoff: float = FIRST_BACKOFF
    """The wait before the second attempt; each further one is twice as long."""
    longest_backoff: float = LONGEST_BACKOFF
    on_unknown_submit: OnUnknownSubmit = "resubmit"
    submit_timeout: float = 86_400.0
    """How long a submission that the provider certainly did not accept is tried again."""
    deadline: float | None = None
    """An operation that still runs this long after it was accepted is cancelled and has failed."""
    queue_limit: float | None = None
    """One that is still queued this long after it was accepted is cancelled; a new attempt may follow."""
    first_poll: float = 0.3
    longest_poll: float = 20.0
    spread: float = 0.2
    """How far a wait between polls may be off, as a share of it, so that many operations do not poll in step."""
    idempotent_for: float = 0.0
    """How long after the first sending the same key gives the same operation, so that sending again is safe."""
    find_after: float | None = None
    """How long after a sending a look-up that finds nothing is conclusive. None: there is no look-up."""
    once: bool = False
    """Whether the poll that gives the result consumes it."""
    per_context: bool = False
    """Whether only the user's code knows whom to ask: nobody else is to ask with a client of his own."""

    def to_plain(self) -> dict[str, Any]:
        """What differs from the default, as plain data."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Policy:
        """Read what `to_plain` wrote. Options that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in plain.items() if name in known})


DEFAULT = Policy()


class Policies:
    """The policies of a workflow's nodes. Immutable; equal where they are the same for every node."""

    __slots__ = ("_by_node", "_hash", "plain")

    def __init__(self, by_node: Mapping[str, Policy]) -> None:
        self._by_node = {name: policy for name, policy in by_node.items() if policy != DEFAULT}
        self._hash = hash(frozenset(self._by_node.items()))
        self.plain: Final = {name: policy.to_plain() for name, policy in sorted(self._by_node.items())}
        """Those that are not the default, as plain data; `from_plain` reads it back."""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Mapping[str, Any]]) -> Policies:
        """Read what `plain` holds."""
        return cls({name: Policy.from_plain(options) for name, options in plain.items()})

    def of(self, node: str) -> Policy:
        """The policy of a node."""
        return self._by_node.get(node, DEFAULT)

    def items(self) -> Iterable[tuple[str, Policy]]:
        """Those that are not the default, with their nodes."""
        return self._by_node.items()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Policies) and self._by_node == other._by_node)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Policies({self.plain!r})"


NO_POLICIES = Policies({})
"""Every node has the default."""


def backoff(
    failures: int, jitter: float, longest: float = LONGEST_BACKOFF, first: float = FIRST_BACKOFF
) -> float:
    """Seconds to wait after so many failures in a row (from 1): exponential, with up to half of it taken off.

    The jitter keeps activations that failed together from coming back together.
    """
    full = min(longest, first * 2.0 ** min(failures - 1, 20))
    return full * (1.0 - 0.5 * jitter)


def poll_interval(policy: Policy, age: float, jitter: float) -> float:
    """Seconds until the next poll of an operation of that age.

    Without state, so that it is the same before and after a crash: 0.3, 0.6, 1.2, 2 s, then each wait half as long
    again as the one before, up to the longest.
    """
    age = max(0.0, age)
    first = policy.first_poll
    wait = min(policy.longest_poll, max(min(first + age, 2.0 if first < 2.0 else first), first + age / 2))
    return wait * (1.0 + policy.spread * (2.0 * jitter - 1.0))


def given_up(policy: Policy, age: float, *, queued: bool) -> Literal["deadline", "queue"] | None:
    """Why an operation that is still running at that age is given up, None while it is not."""
    if policy.deadline is not None and age > policy.deadline:
        return "deadline"
    if queued and policy.queue_limit is not None and age > policy.queue_limit:
        return "queue"
    return None

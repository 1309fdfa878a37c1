"""The scheduler's state: activations, gates and open scopes of one run. Data only; `scheduler.py` moves it.

A scope instance is one entry into a map (the root is instance 0). It holds the activations of its items and
the gates of nodes that still wait for some of their inputs. When nothing in it can move any more it is
closed and forgotten, so that memory and recovery cost what is open, not what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..checkpoints import ActivationKey, ActivationState, RunStatus
from .events import Address
from .plan import Plan

S = ActivationState


NONE = dict.fromkeys(ActivationState, 0)
"""No activation in any state."""


@dataclass(slots=True)
class Activation:
    """One execution of a node at one place in the scopes."""

    state: ActivationState
    attempt: int = 1
    taken: tuple[int, ...] | None = None
    items: int | None = None

    @property
    def decided(self) -> bool:
        """Whether its outgoing edges are decided, i.e. nothing more can come of it."""
        return self.state is S.SKIPPED or (self.state is S.SUCCEEDED and self.taken is not None)


@dataclass(slots=True)
class Gate:
    """Counts the incoming edges of an activation that does not exist yet."""

    pending: int
    taken: int = 0


@dataclass(slots=True)
class Scope:
    """One instance of a scope."""

    number: int
    scope: int  # index in the plan
    parent: int | None  # number of the enclosing instance
    path: tuple[int, ...]  # of the activation that opened it
    size: int
    next: int = 0  # the first item whose activation was not started yet
    active: int = 0  # activations of the map's target that are under way, for the limit
    unresolved: int = 0  # gates, activations that are not decided, open scopes inside, items not started
    collecting: dict[int, int] = field(default_factory=dict[int, int])  # collect edge -> items not decided
    activations: dict[tuple[str, int], Activation] = field(default_factory=dict[tuple[str, int], Activation])
    gates: dict[tuple[str, int], Gate] = field(default_factory=dict[tuple[str, int], Gate])
    inner: set[tuple[int, tuple[int, ...]]] = field(default_factory=set[tuple[int, tuple[int, ...]]])


def place(address: Address) -> tuple[str, int]:
    """Where an activation or gate is kept in its scope: its node and item."""
    node, path = address
    return (node, path[-1]) if path else (node, 0)


@dataclass(slots=True)
class State:
    """A run as the scheduler sees it."""

    plan: Plan
    outcome: RunStatus | None = None  # what the run is on its way to; None while it is undecided
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])  # open instances by number
    numbers: dict[tuple[int, tuple[int, ...]], int] = field(
        default_factory=dict[tuple[int, tuple[int, ...]], int]
    )  # (scope, path) -> number, of open instances and of those closed inside open ones
    next_number: int = 1
    undecided: int = 0  # activations that succeeded and whose edges could not be evaluated
    counts: dict[ActivationState, int] = field(default_factory=NONE.copy)
    waiters: dict[Address, set[Address]] = field(default_factory=dict[Address, set[Address]])
    # joins inside a scope that wait for a source outside of it

    @property
    def live(self) -> int:
        """How many activations can still move.

        A run that fails waits neither for submissions of unknown fate nor for edges that can't be evaluated.
        """
        counts = self.counts
        live = (
            counts[S.RUNNING]
            + counts[S.SUBMITTING]
            + counts[S.WAITING]
            + counts[S.BACKOFF]
            + counts[S.CANCELLING]
        )
        match self.outcome:
            case None:
                return live + counts[S.SUBMIT_UNKNOWN] + self.undecided
            case RunStatus.FAILED:
                return live
            case _:
                return live + counts[S.SUBMIT_UNKNOWN]

    @property
    def status(self) -> RunStatus:
        """The run's status, derived: it runs while this process is at work on one of its activations."""
        if self.outcome is not None:
            return RunStatus.CANCELLING if self.live else self.outcome
        busy = self.counts[S.RUNNING] or self.counts[S.SUBMITTING]
        return RunStatus.RUNNING if busy else RunStatus.WAITING

    def scope_of(self, address: Address) -> Scope | None:
        """The open scope instance in which the address lies."""
        node, path = address
        if not path:
            return self.scopes.get(0)
        number = self.numbers.get((self.plan.node[node].scope, path[:-1]))
        return None if number is None else self.scopes.get(number)

    def find(self, address: Address) -> Activation | None:
        """The activation at that address, if it exists and its scope is open."""
        scope = self.scope_of(address)
        if scope is None:
            return None
        return scope.activations.get(place(address))

    def key(self, address: Address) -> ActivationKey:
        """Where the activation's row is. Valid for scopes that are open or closed inside an open one."""
        node, path = address
        if not path:
            return ActivationKey(scope=0, node=node, item=0)
        return ActivationKey(
            scope=self.numbers[self.plan.node[node].scope, path[:-1]], node=node, item=path[-1]
        )

    def addresses(self, states: Iterable[ActivationState]) -> Iterator[Address]:
        """The addresses of all activations in these states, in a fixed order."""
        wanted = frozenset(states)
        for number in sorted(self.scopes):
            scope = self.scopes[number]
            for (node, item), activation in sorted(scope.activations.items(), key=lambda entry: entry[0]):
                if activation.state in wanted:
                    yield Address(node, (*scope.path, item) if scope.scope else ())

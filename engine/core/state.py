"""The state of one run: activations with their operations, gates and open scopes. Data only; `machine.py` moves it.

A scope instance is one entry into a map (the root is instance 0). It holds the activations of its items and the gates
of nodes that still wait for some of their inputs. When nothing in it can move any more it is closed and forgotten, so
that memory and recovery cost what is open, not what happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...checkpoints.records import (
    TERMINAL,
    ActivationKey,
    Detail,
    OperationKey,
    RunStatus,
    State,
    SubmissionKey,
)
from .addresses import Address, OperationAddress
from .plan import NodePlace, Plan
from .policy import NO_POLICIES, Policies, Policy

S = State


@dataclass(slots=True)
class Operation:
    """One long-running operation of an activation's current attempt."""

    state: State
    key: OperationKey
    submission: int = 0
    unknown: int = 0
    refused: int = 0
    trying_since: float | None = None
    sent_at: float | None = None
    accepted_at: float | None = None
    wake_at: float | None = None
    detail: Detail | None = None
    has_outcome: bool = False
    handles: dict[int, str] = field(default_factory=dict[int, str])
    """The handles that are known, opaque texts, by submission; that of the one that counts is the first."""

    def looked_for(self, policy: Policy) -> bool:
        """Whether the provider is asked what became of its submission before anything else is done about that.

        It is done in a run that fails too, as long as that has not ended.
        """
        return self.state is S.SUBMIT_UNKNOWN and self.detail is None and policy.find_after is not None


_URGENCY = {
    state: place
    for place, state in enumerate((S.SUBMITTING, S.CANCELLING, S.WAITING, S.BACKOFF, S.SUBMIT_UNKNOWN))
}


def _moving(counts: Mapping[State, int]) -> int:
    """How many of these move by themselves."""
    return (
        counts.get(S.RUNNING, 0)
        + counts.get(S.SUBMITTING, 0)
        + counts.get(S.WAITING, 0)
        + counts.get(S.BACKOFF, 0)
        + counts.get(S.CANCELLING, 0)
    )


def derived(own: State, operations: Mapping[tuple[str, int], Operation] | None) -> State:
    """An activation's state, of its own and of those of its open operations; it is stored nowhere.

    One that has ended is what it is, whatever its operations still do. Else the most urgent counts: submitting,
    cancelling, waiting, backoff, submit_unknown. An unknown fate comes last, so that an activation is `submit_unknown`
    only where nothing else of it can move. `running`, or held back as `ready`, it is where no operation is open.
    """
    if operations is None or own in TERMINAL:
        return own
    if len(operations) == 1 and own is S.RUNNING:  # nearly always
        (operation,) = operations.values()
        return own if operation.state in TERMINAL else operation.state
    states = [operation.state for operation in operations.values() if not operation.state.terminal]
    if not states:
        return own
    if own is not S.RUNNING and own is not S.READY:
        states.append(own)
    return min(states, key=_URGENCY.__getitem__)


@dataclass(slots=True)
class Activation:
    """One execution of a node at one place in the scopes. `own` is what its row says, `state` what it is."""

    own: State
    attempt: int = 1
    failures: int = 0
    wake_at: float | None = None
    taken: tuple[int, ...] | None = None
    items: int | None = None
    operations: dict[tuple[str, int], Operation] | None = None
    """By (chain, number), of the current attempt; of one that has succeeded the open ones alone."""

    @property
    def state(self) -> State:
        """Its state, derived."""
        return derived(self.own, self.operations)

    @property
    def decided(self) -> bool:
        """Whether its outgoing edges are decided, i.e. nothing more can come of it."""
        return self.own is S.SKIPPED or (self.own is S.SUCCEEDED and self.taken is not None)

    def operation(self, address: OperationAddress) -> Operation | None:
        """The operation at that address, which lies in this activation, if it is of the current attempt."""
        _, attempt, chain, number = address
        if self.operations is None or self.attempt != attempt:
            return None
        return self.operations.get((chain, number))

    def open(self) -> list[tuple[str, int]]:
        """Chain and number of its operations that have not ended: at most one of each chain, in order."""
        if self.operations is None:
            return []
        return sorted(place for place, operation in self.operations.items() if not operation.state.terminal)

    def newest(self, chain: str = "") -> int | None:
        """The number of the newest operation of a chain (default: its own), None where it has none."""
        if self.operations is None:
            return None
        return max((number for of, number in self.operations if of == chain), default=None)

    def open_in(self, chain: str = "") -> int | None:
        """The number of the operation of a chain (default: its own) that has not ended; there is one at most."""
        number = self.newest(chain)
        if number is None or self.operations is None or self.operations[chain, number].state.terminal:
            return None
        return number


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
    path: tuple[int, ...]  # of the activation that entered it
    size: int
    next: int = 0  # the first item whose activation was not started yet
    active: int = 0  # activations of the map's target that are under way, for the limit
    unresolved: int = 0
    """Gates, activations that are not decided, open operations of those that have succeeded, open scopes inside, items
    not started."""
    collecting: dict[int, int] = field(default_factory=dict[int, int])  # collect edge -> items not decided
    activations: dict[tuple[str, int], Activation] = field(default_factory=dict[tuple[str, int], Activation])
    gates: dict[tuple[str, int], Gate] = field(default_factory=dict[tuple[str, int], Gate])
    inner: list[tuple[int, tuple[int, ...]]] = field(default_factory=list[tuple[int, tuple[int, ...]]])


@dataclass(slots=True)
class RunState:
    """A run as the core sees it."""

    plan: Plan
    policies: Policies = NO_POLICIES
    outcome: RunStatus | None = None  # what the run is on its way to; None while it is undecided
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])  # open instances by number
    numbers: dict[tuple[int, tuple[int, ...]], int] = field(
        default_factory=dict[tuple[int, tuple[int, ...]], int]
    )  # (scope, path) -> number, of open instances and of those closed inside open ones
    next_number: int = 1
    undecided: int = 0  # activations that succeeded and whose edges could not be evaluated
    counts: Counter[State] = field(default_factory=Counter[State])  # of activations
    remaining: Counter[State] = field(default_factory=Counter[State])
    """Of open operations whose activation has ended: these end by themselves, and the run waits for them."""
    waiters: dict[Address, set[Address]] = field(default_factory=dict[Address, set[Address]])
    # joins inside a scope that wait for a source outside of it
    strays: dict[tuple[OperationAddress, int], SubmissionKey] = field(
        default_factory=dict[tuple[OperationAddress, int], SubmissionKey]
    )  # submissions that do not count and whose cancel is not acknowledged, also in closed scopes
    nested: Mapping[str, NodePlace] = field(init=False, repr=False, compare=False)
    """The plan's, at hand here because nearly every step asks for them."""

    def __post_init__(self) -> None:
        self.nested = self.plan.nested

    @property
    def live(self) -> int:
        """How many activations, and operations of those that have ended, can still move.

        A run that fails waits neither for submissions of unknown fate nor for edges that can't be evaluated.
        """
        live = _moving(self.counts)
        if self.remaining:
            live += _moving(self.remaining)
        if self.outcome is RunStatus.FAILED:
            return live
        live += self.counts[S.SUBMIT_UNKNOWN] + self.remaining[S.SUBMIT_UNKNOWN]
        return live + self.undecided if self.outcome is None else live

    @property
    def ended(self) -> bool:
        """Whether the run has ended. Submissions that do not count may still be cancelled then."""
        return self.outcome is not None and not self.live

    @property
    def status(self) -> RunStatus:
        """The run's status, derived: it waits where nothing is left for this process to do but to wait."""
        if self.outcome is None:
            counts = self.counts
            submitting = counts.get(S.SUBMITTING) or self.remaining.get(S.SUBMITTING)
            busy = counts.get(S.RUNNING) or submitting or self.undecided or self.strays
            return RunStatus.RUNNING if busy else RunStatus.WAITING
        if not self.live:
            return self.outcome
        return RunStatus.FAILING if self.outcome is RunStatus.FAILED else RunStatus.CANCELLING

    def policy(self, node: str) -> Policy:
        """The policy of a node."""
        return self.policies.of(node)

    def instance(self, address: Address) -> Scope | None:
        """The open scope instance in which the address lies; None too where the plan has no such address."""
        node, path = address
        if node not in self.nested:
            return None if path else self.scopes.get(0)
        scope, entry, length = self.nested[node]
        if len(path) != length:
            return None
        number = self.numbers.get((scope, path[:entry]))
        return None if number is None else self.scopes.get(number)

    def entered(self, scope: int, path: tuple[int, ...]) -> int | None:
        """The number of that scope's instance which the activation at `path` entered. Valid as `key` is."""
        return self.numbers.get((scope, path))

    def address_in(self, scope: Scope, node: str, item: int) -> Address:
        """The address of an item's activation in a scope instance."""
        return Address(node, (*scope.path, item) if scope.scope in self.plan.numbered else scope.path)

    def open(self, scope: Scope) -> None:
        """A scope was entered: this is its instance."""
        self.scopes[scope.number] = scope
        self.remember(scope)

    def remember(self, scope: Scope) -> None:
        """The number of this instance, open or closed, can be asked for as long as the one around it is open."""
        if scope.parent is not None:  # the root's is 0
            self.numbers[scope.scope, scope.path] = scope.number
            self.scopes[scope.parent].inner.append((scope.scope, scope.path))

    def close(self, scope: Scope) -> None:
        """Forget what lies in the instance; its own number is remembered."""
        for inner in scope.inner:
            del self.numbers[inner]
        for activation in scope.activations.values():
            self.count(activation, -1)
        del self.scopes[scope.number]

    def find(self, address: Address) -> Activation | None:
        """The activation at that address, if it exists and its scope is open."""
        scope = self.instance(address)
        return None if scope is None else scope.activations.get(self.plan.place(address))

    @property
    def end(self) -> str | None:
        """The end that gives the result: of those that have succeeded the first declared; None while there is none."""
        for name in self.plan.ends:
            activation = self.find(Address(name))
            if activation is not None and activation.state is State.SUCCEEDED:
                return name
        return None

    @property
    def ends_skipped(self) -> bool:
        """Whether all ends were skipped, so that the run can have no result."""
        ends = [self.find(Address(name)) for name in self.plan.ends]
        return all(end is not None and end.state is State.SKIPPED for end in ends)

    def operation(self, address: OperationAddress) -> Operation | None:
        """The operation at that address, if it is one of its activation's current attempt."""
        activation = self.find(address.address)
        return None if activation is None else activation.operation(address)

    def open_operation(self, address: Address, chain: str = "") -> OperationAddress | None:
        """The operation of a chain (default: the activation's own) that has not ended; there is one at most."""
        activation = self.find(address)
        number = None if activation is None else activation.open_in(chain)
        if activation is None or number is None:
            return None
        return OperationAddress(address, activation.attempt, chain, number)

    def open_operations(self, address: Address | None = None) -> Iterator[tuple[OperationAddress, Operation]]:
        """The operations that have not ended, of one activation or of all, in a fixed order."""
        for one in self.addresses(S) if address is None else (address,):
            activation = self.find(one)
            if activation is not None and activation.operations is not None:
                for chain, number in activation.open():
                    operation = activation.operations[chain, number]
                    yield OperationAddress(one, activation.attempt, chain, number), operation

    def count(self, activation: Activation, by: int) -> None:
        """Count the activation, or (`by` -1) count it no more; whatever changes it does so before and after."""
        self.counts[activation.state] += by
        if activation.operations is not None and activation.own in TERMINAL:
            for place in activation.open():
                self.remaining[activation.operations[place].state] += by

    def count_moved(self, activation: Activation, was: State) -> None:
        """Count an activation that has not ended and was in that state."""
        now = activation.state
        if now is not was:
            self.counts[was] -= 1
            self.counts[now] += 1

    def move_operation(self, activation: Activation, operation: Operation, to: State) -> None:
        """One of the activation's operations changes its state, and is counted where it counts."""
        if activation.own in TERMINAL:
            self.count(activation, -1)
            operation.state = to
            self.count(activation, 1)
        else:
            was = activation.state
            operation.state = to
            self.count_moved(activation, was)

    def key(self, address: Address) -> ActivationKey:
        """Where the activation's row is. Valid for scopes that are open or closed inside an open one."""
        node, path = address
        if node not in self.nested:
            return ActivationKey(0, node, 0)
        scope, entry, _ = self.nested[node]
        _, item = self.plan.place(address)
        return ActivationKey(self.numbers[scope, path[:entry]], node, item)

    def address(self, key: ActivationKey) -> Address | None:
        """The address of the activation whose row has that key, None where its scope is closed."""
        scope = self.scopes.get(key.scope)
        if scope is None:
            return None
        return self.address_in(scope, key.node, key.item)

    def operation_key(self, operation: OperationAddress) -> OperationKey:
        """Where the operation's row is. Valid as `key` is."""
        known = self.operation(operation)
        if known is not None:
            return known.key
        address, attempt, chain, number = operation
        return OperationKey(*self.key(address), attempt, chain, number)

    def addresses(self, states: Iterable[State]) -> Iterator[Address]:
        """The addresses of all activations in these states, in a fixed order."""
        wanted = frozenset(states)
        for number in sorted(self.scopes):
            scope = self.scopes[number]
            for (node, item), activation in sorted(scope.activations.items(), key=lambda entry: entry[0]):
                if activation.state in wanted:
                    yield self.address_in(scope, node, item)

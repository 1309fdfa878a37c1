"""`Step`: what follows from one event. The inside of `scheduler.advance`; pure as it is.

Activations move, gates count, skips propagate (dead-path elimination), scopes open and close, and the run ends.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from ..checkpoints import ActivationKey, ActivationState, RunStatus
from .commands import Cancel, Command, Decide, Finish, Save, SaveScope, Settle, Start
from .errors import IllegalEventError
from .events import (
    Address,
    AttemptStarted,
    BackedOff,
    Cancelled,
    EdgesDecided,
    EdgesFailed,
    Event,
    Failed,
    SubmissionIntended,
    SubmissionUnknown,
    Submitted,
    Succeeded,
    TokenAdvanced,
)
from .plan import EdgeKind, PlanEdge
from .state import Activation, Gate, Scope, State, place

S = ActivationState

ALLOWED: dict[type[Event], frozenset[ActivationState]] = {
    SubmissionIntended: frozenset({S.RUNNING, S.SUBMIT_UNKNOWN}),
    SubmissionUnknown: frozenset({S.SUBMITTING}),
    Submitted: frozenset({S.SUBMITTING, S.SUBMIT_UNKNOWN}),
    TokenAdvanced: frozenset({S.WAITING, S.CANCELLING}),
    Succeeded: frozenset({S.RUNNING, S.WAITING, S.CANCELLING}),
    EdgesDecided: frozenset({S.SUCCEEDED}),
    EdgesFailed: frozenset({S.SUCCEEDED}),
    BackedOff: frozenset({S.RUNNING, S.SUBMITTING, S.WAITING}),
    AttemptStarted: frozenset({S.BACKOFF}),
    Failed: frozenset({S.RUNNING, S.SUBMITTING, S.SUBMIT_UNKNOWN, S.WAITING, S.CANCELLING}),
    Cancelled: frozenset({S.SUBMITTING, S.CANCELLING}),
}
"""In which states of an activation an event is legal. The first terminal event wins: none is legal after.

Besides: edges are decided once; nothing is cancelled that nobody wants to end; a submission of unknown fate is
not made again in a run that fails; and to a run that has ended nothing happens but a retry.
"""


def fires(edge: PlanEdge, source: Activation) -> bool:
    """Whether the edge delivers something, given that its source is decided."""
    if source.state is not S.SUCCEEDED or source.taken is None:
        return False
    return not (edge.conditional or edge.otherwise) or edge.index in source.taken


class Step:
    """One call of `advance`: the commands so far, and the decided activations whose edges are to follow."""

    __slots__ = ("agenda", "commands", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.commands: list[Command] = []
        self.agenda: deque[tuple[Scope, Address, Activation]] = deque()

    @property
    def ending(self) -> bool:
        """Whether what is under way is to be cancelled."""
        outcome = self.state.outcome
        return outcome is RunStatus.CANCELLED or (
            outcome is RunStatus.FAILED and self.state.plan.on_failure == "cancel"
        )

    def expect(self, event: Event, address: Address) -> tuple[Scope, Activation]:
        scope = self.state.scope_of(address)
        activation = None if scope is None else scope.activations.get(place(address))
        if scope is None or activation is None or activation.state not in ALLOWED[type(event)]:
            now = "unknown" if activation is None else activation.state
            raise IllegalEventError(f"{type(event).__name__} of {address} is impossible: it is {now}.")
        match event:
            case EdgesDecided() | EdgesFailed() if activation.taken is not None:
                why = "its edges are decided"
            case Cancelled() if not self.ending:
                why = "nobody cancels it"
            case SubmissionIntended() if (
                activation.state is S.SUBMIT_UNKNOWN and self.state.outcome is not None
            ):
                why = "it is settled when the run is retried"
            case _:
                return scope, activation
        raise IllegalEventError(f"{type(event).__name__} of {address} is impossible: {why}.")

    def save(self, scope: Scope, address: Address, activation: Activation) -> None:
        self.commands.append(Save(address, activation, ActivationKey(scope.number, *place(address))))

    def move(self, scope: Scope, activation: Activation, address: Address, to: ActivationState) -> None:
        counts, was = self.state.counts, activation.state
        counts[was] -= 1
        counts[to] += 1
        activation.state = to
        self.save(scope, address, activation)
        if scope.parent is not None:
            self._limit(scope, address, was.terminal, to.terminal)

    def _limit(self, scope: Scope, address: Address, was_terminal: bool, is_terminal: bool) -> None:
        """Keep count of a map's target; one that ends makes room for the next item."""
        if was_terminal == is_terminal:
            return
        entry = self.state.plan.scopes[scope.scope].edge
        if entry is not None and self.state.plan.edges[entry].target == address.node:
            scope.active += 1 if was_terminal else -1
            if is_terminal:
                self.fill(scope)

    # -- creation ----------------------------------------------------------------------------------------

    def create(self, scope: Scope, address: Address, to: ActivationState) -> Activation:
        """A new activation; its place in `unresolved` is the caller's to count."""
        key = place(address)
        assert key not in scope.activations, f"{address} exists already"
        activation = Activation(to)
        scope.activations[key] = activation
        self.state.counts[to] += 1
        self.save(scope, address, activation)
        return activation

    def activate(self, scope: Scope, address: Address) -> None:
        """All inputs are there: start, or hold back (for a retry, if there can be one) when the run is ending."""
        if self.state.outcome is None:
            self.create(scope, address, S.RUNNING)
            self.commands.append(Start(address))
        else:
            self.create(scope, address, S.CANCELLED if self.state.outcome is RunStatus.CANCELLED else S.READY)

    def fill(self, scope: Scope) -> None:
        """Start the next items of a map, as many as its limit allows."""
        plan = self.state.plan
        index = plan.scopes[scope.scope].edge
        assert index is not None
        edge = plan.edges[index]
        while (
            scope.next < scope.size
            and (edge.limit is None or scope.active < edge.limit)
            and self.state.outcome is None
        ):
            item = scope.next
            scope.next += 1
            scope.active += 1
            self.activate(scope, Address(edge.target, (*scope.path, item)))

    # -- the flow ----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Follow the edges of everything that was decided, until nothing more follows."""
        while self.agenda:
            scope, address, activation = self.agenda.popleft()
            for edge in self.state.plan.outgoing[address.node]:
                self._follow(edge, scope, address, activation)
            for waiter in sorted(self.state.waiters.pop(address, ())):
                for edge in self.state.plan.incoming[waiter.node]:
                    if edge.source == address.node:
                        inner = self.state.scope_of(waiter)
                        assert inner is not None, f"{waiter} waits in a scope that is closed"
                        self._arrive(inner, waiter, fires(edge, activation))
            self._resolve_one(scope)

    def _follow(self, edge: PlanEdge, scope: Scope, address: Address, source: Activation) -> None:
        plan, taken = self.state.plan, fires(edge, source)
        match edge.kind:
            case EdgeKind.PLAIN:
                self._deliver(scope, Address(edge.target, address.path), taken)
            case EdgeKind.JOIN:
                depth = plan.scopes[plan.node[edge.target].scope].depth
                if depth == len(address.path):  # deeper ones wait in `waiters`
                    self._deliver(scope, Address(edge.target, address.path), taken)
            case EdgeKind.MAP:
                self._open(edge, scope, address, source) if taken else self._skip_scope(edge, scope, address)
            case EdgeKind.COLLECT:
                scope.collecting[edge.index] -= 1
                if scope.collecting[edge.index] == 0:
                    assert scope.parent is not None, "a collect edge leaves the root scope"
                    self._deliver(self.state.scopes[scope.parent], Address(edge.target, scope.path), True)
            case _:
                assert_never(edge.kind)

    def _deliver(self, scope: Scope, target: Address, taken: bool) -> None:
        """One incoming edge of the target, which lies in this scope, is decided."""
        if len(self.state.plan.incoming[target.node]) == 1:  # nothing to wait for, so no gate
            scope.unresolved += 1
            self._pass(scope, target, taken)
            return
        key = place(target)
        if key not in scope.gates:
            scope.gates[key] = self._gate(target)
            scope.unresolved += 1
        self._arrive(scope, target, taken)

    def _gate(self, target: Address) -> Gate:
        """A new gate. Sources in enclosing scopes count if they are decided, else they will notify."""
        plan, gate = self.state.plan, Gate(0)
        for edge in plan.incoming[target.node]:
            gate.pending += 1
            depth = plan.scopes[plan.node[edge.source].scope].depth
            if edge.kind is EdgeKind.JOIN and depth < len(target.path):
                outer = Address(edge.source, target.path[:depth])
                source = self.state.find(outer)
                if source is None or not source.decided:
                    self.state.waiters.setdefault(outer, set()).add(target)
                else:
                    gate.pending -= 1
                    gate.taken += fires(edge, source)
        return gate

    def _arrive(self, scope: Scope, target: Address, taken: bool) -> None:
        key = place(target)
        gate = scope.gates[key]
        gate.pending -= 1
        gate.taken += taken
        if gate.pending == 0:
            del scope.gates[key]
            self._pass(scope, target, gate.taken > 0)

    def _pass(self, scope: Scope, target: Address, taken: bool) -> None:
        """All incoming edges of the target are decided; `taken` says whether any delivered."""
        if taken:
            self.activate(scope, target)
            return
        self.agenda.append((scope, target, self.create(scope, target, S.SKIPPED)))
        if target.node == self.state.plan.end and self.state.outcome is None:
            self.state.outcome = RunStatus.FAILED
            if self.ending:
                self.cancel_all()

    # -- scopes ------------------------------------------------------------------------------------------

    def _open(self, edge: PlanEdge, outer: Scope, address: Address, source: Activation) -> None:
        state = self.state
        assert edge.scope is not None
        assert source.items is not None, f"the output of {address} is mapped and its length unknown"
        scope = Scope(
            number=state.next_number,
            scope=edge.scope,
            parent=outer.number,
            path=address.path,
            size=source.items,
            unresolved=source.items + 1,  # one for this very step, taken away below
        )
        state.next_number += 1
        state.scopes[scope.number] = scope
        state.numbers[edge.scope, address.path] = scope.number
        outer.inner.add((edge.scope, address.path))
        outer.unresolved += 1
        self.commands.append(SaveScope(scope, open=True))
        for collect in state.plan.collects[edge.scope]:
            scope.collecting[collect.index] = scope.size
            if scope.size == 0:
                self._deliver(outer, Address(collect.target, address.path), True)
        self.fill(scope)
        self._resolve_one(scope)

    def _skip_scope(self, edge: PlanEdge, outer: Scope, address: Address) -> None:
        """The map's source was skipped: what collects it is skipped too."""
        assert edge.scope is not None
        for collect in self.state.plan.collects[edge.scope]:
            self._deliver(outer, Address(collect.target, address.path), False)

    def _resolve_one(self, scope: Scope) -> None:
        """One thing in the scope is decided; a scope in which everything is gets closed."""
        state = self.state
        scope.unresolved -= 1
        while scope.unresolved == 0 and scope.parent is not None:
            for inner in scope.inner:
                del state.numbers[inner]
            for activation in scope.activations.values():
                state.counts[activation.state] -= 1
            del state.scopes[scope.number]
            self.commands.append(SaveScope(scope, open=False))
            scope = state.scopes[scope.parent]
            scope.unresolved -= 1

    # -- ends --------------------------------------------------------------------------------------------

    def fail(self, scope: Scope, activation: Activation, address: Address, to: ActivationState) -> None:
        """This fails the run; what is under way is cancelled, unless the workflow lets it finish."""
        first = self.state.outcome is None
        if first:
            self.state.outcome = RunStatus.FAILED  # before the move, which would start the next item of a map
        self.move(scope, activation, address, to)
        if first and self.ending:
            self.cancel_all()

    def cancel_all(self) -> None:
        """Stop everything that can move. A submission is left to end first, so that its handle is known."""
        state = self.state
        cancelled = state.outcome is RunStatus.CANCELLED
        movable = {S.RUNNING, S.WAITING, S.BACKOFF}
        if cancelled:
            movable |= {S.READY, S.SUBMIT_UNKNOWN}
        for address in list(state.addresses(movable)):
            scope = state.scope_of(address)
            assert scope is not None
            activation = scope.activations[place(address)]
            if activation.state in (S.RUNNING, S.WAITING):
                self.move(scope, activation, address, S.CANCELLING)
                self.commands.append(Cancel(address))
            else:
                self.move(scope, activation, address, S.CANCELLED)

    def retry(self) -> None:
        """Start again what failed or was cancelled for it; keep what succeeded."""
        state = self.state
        state.outcome = None
        again = (S.FAILED, S.CANCELLED, S.READY, S.SUBMIT_UNKNOWN, S.SUCCEEDED)
        for address in list(state.addresses(again)):
            scope = state.scope_of(address)
            assert scope is not None
            activation = scope.activations[place(address)]
            match activation.state:
                case S.FAILED | S.CANCELLED:
                    activation.attempt += 1
                    self.move(scope, activation, address, S.RUNNING)
                    self.commands.append(Start(address))
                case S.READY:
                    self.move(scope, activation, address, S.RUNNING)
                    self.commands.append(Start(address))
                case S.SUBMIT_UNKNOWN:
                    self.commands.append(Settle(address))
                case _ if activation.taken is None:
                    self.commands.append(Decide(address))
                case _:
                    pass
        for number in sorted(state.scopes):
            if number:
                self.fill(state.scopes[number])

    def finish(self) -> None:
        """Say so when the run has ended."""
        state = self.state
        if state.live:
            return
        if state.outcome is None:
            end = state.scopes[0].activations.get((state.plan.end, 0))
            succeeded = end is not None and end.state is S.SUCCEEDED
            state.outcome = RunStatus.SUCCEEDED if succeeded else RunStatus.FAILED
        self.commands.append(Finish(state.outcome))

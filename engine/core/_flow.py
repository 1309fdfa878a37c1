"""`Step`: how values flow through the graph in one call of `advance`. Pure as everything here.

Activations are created and moved, gates count, skips propagate (dead-path elimination), scopes open and close, and the
run ends. What an event means for an attempt or an operation is in `_attempts.py` and `_operations.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from ...checkpoints.records import ActivationColumns, ActivationKey, OperationKey, RunStatus, State
from ._table import ACTIVATIONS, OPERATIONS, Move
from .addresses import Address, OperationAddress
from .commands import (
    Call,
    CancelCall,
    CancelRemote,
    Command,
    Finish,
    SaveActivation,
    SaveOperation,
    SaveScope,
    Wake,
)
from .errors import IllegalEventError
from .plan import EdgeKind, PlanEdge, ScopeKind
from .state import Activation, Gate, Operation, RunState, Scope

S = State


def fires(edge: PlanEdge, source: Activation) -> bool:
    """Whether the edge delivers something, given that its source is decided."""
    if source.own is not S.SUCCEEDED or source.taken is None:
        return False
    return not (edge.conditional or edge.otherwise) or edge.index in source.taken


class Step:
    """One call of `advance`: the commands so far, and the decided activations whose edges are to follow."""

    __slots__ = ("agenda", "commands", "state")

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.commands: list[Command] = []
        self.agenda: deque[tuple[Scope, Address, Activation]] = deque()

    @property
    def may_start(self) -> bool:
        """Whether anything may start, be submitted or be tried again: the run's outcome is open."""
        return self.state.outcome is None

    @property
    def ending(self) -> bool:
        """Whether what is under way is to be cancelled."""
        outcome = self.state.outcome
        return outcome is RunStatus.CANCELLED or (
            outcome is RunStatus.FAILED and self.state.plan.on_failure == "cancel"
        )

    # -- activations -------------------------------------------------------------------------------------

    def locate(self, event: object, address: Address) -> tuple[Scope, Activation]:
        """The activation and its scope. Raises `IllegalEventError` where there is none."""
        scope = self.state.instance(address)
        activation = None if scope is None else scope.activations.get(self.state.plan.place(address))
        if scope is None or activation is None:
            raise IllegalEventError(f"{type(event).__name__} of {address} is impossible: it is unknown.")
        return scope, activation

    def check(self, move: Move, event: object, activation: Activation, address: Address) -> None:
        """Raise `IllegalEventError` where the move leads the activation nowhere."""
        if activation.own not in ACTIVATIONS[move]:
            raise IllegalEventError(
                f"{type(event).__name__} of {address} is impossible: it is {activation.state}."
            )

    def move(
        self,
        scope: Scope,
        activation: Activation,
        address: Address,
        move: Move,
        columns: ActivationColumns | None = None,
    ) -> None:
        """The activation's own state changes, and with it these columns of its row."""
        was = activation.own
        to = ACTIVATIONS[move][was]
        self.state.count(activation, -1)
        activation.own = to
        self.state.count(activation, 1)
        if columns is None:
            columns = {"state": to}
        else:
            columns["state"] = to
        self.commands.append(
            SaveActivation(ActivationKey(scope.number, *self.state.plan.place(address)), columns)
        )
        if scope.parent is not None:
            self._limit(scope, address, was.terminal, to.terminal)

    def _limit(self, scope: Scope, address: Address, was_terminal: bool, is_terminal: bool) -> None:
        """Keep count of a map's target; one that ends makes room for the next item."""
        if was_terminal == is_terminal:
            return
        entry = self.state.plan.map_edges.get(scope.scope)
        if entry is not None and entry.target == address.node:
            scope.active += 1 if was_terminal else -1
            if is_terminal:
                self.fill(scope)

    def create(self, scope: Scope, address: Address, move: Move) -> Activation:
        """A new activation; its place in `unresolved` is the caller's to count."""
        key = self.state.plan.place(address)
        assert key not in scope.activations, f"{address} exists already"
        to = ACTIVATIONS[move][None]
        activation = Activation(to)
        scope.activations[key] = activation
        self.state.counts[to] += 1
        self.commands.append(SaveActivation(ActivationKey(scope.number, *key), {"state": to}))
        return activation

    def activate(self, scope: Scope, address: Address) -> None:
        """All inputs are there: start, or hold back (for a retry, if there can be one) when the run is ending."""
        if self.may_start:
            self.create(scope, address, Move.START)
            self.commands.append(Call(address))
        else:
            cancelled = self.state.outcome is RunStatus.CANCELLED
            self.create(scope, address, Move.CANCEL if cancelled else Move.HOLD_BACK)

    def fill(self, scope: Scope) -> None:
        """Start the next items of a map, as many as its limit allows."""
        if scope.next == scope.size:
            return
        edge = self.state.plan.map_edges[scope.scope]
        most = self.state.policy(edge.target).concurrency
        while scope.next < scope.size and (most is None or scope.active < most) and self.may_start:
            item = scope.next
            scope.next += 1
            scope.active += 1
            self.activate(scope, self.state.address_in(scope, edge.target, item))

    def fill_all(self) -> None:
        """Start the next items of all maps, in a fixed order: their limits may have changed."""
        for number in sorted(self.state.scopes):
            scope = self.state.scopes[number]
            if scope.scope in self.state.plan.map_edges:
                self.fill(scope)

    # -- the flow ----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Follow the edges of everything that was decided, until nothing more follows."""
        while self.agenda:
            scope, address, activation = self.agenda.popleft()
            for edge in self.state.plan.outgoing[address.node]:
                self._follow_edge(edge, scope, address, activation)
            if self.state.waiters:
                self._notify(address, activation)
            self._resolve_one(scope)

    def _notify(self, address: Address, source: Activation) -> None:
        """Joins in scopes inside have waited for this source."""
        for waiter in sorted(self.state.waiters.pop(address, ())):
            for edge in self.state.plan.incoming[waiter.node]:
                if edge.source == address.node:
                    inner = self.state.instance(waiter)
                    assert inner is not None, f"{waiter} waits in a scope that is closed"
                    self._arrive(inner, waiter, fires(edge, source))

    def _follow_edge(self, edge: PlanEdge, scope: Scope, address: Address, source: Activation) -> None:
        plan, taken = self.state.plan, fires(edge, source)
        match edge.kind:
            case EdgeKind.PLAIN:
                self._deliver(scope, Address(edge.target, address.path), taken)
            case EdgeKind.JOIN:
                if edge.index not in plan.reaching_in:  # those wait in `waiters`
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
        key = self.state.plan.place(target)
        if key not in scope.gates:
            scope.gates[key] = self._gate(target)
            scope.unresolved += 1
        self._arrive(scope, target, taken)

    def _gate(self, target: Address) -> Gate:
        """A new gate. Sources in enclosing scopes count if they are decided, else they will notify."""
        plan, gate = self.state.plan, Gate(0)
        for edge in plan.incoming[target.node]:
            gate.pending += 1
            if edge.index in plan.reaching_in:
                outer = Address(edge.source, plan.path_in(edge.source, target.path))
                source = self.state.find(outer)
                if source is None or not source.decided:
                    self.state.waiters.setdefault(outer, set()).add(target)
                else:
                    gate.pending -= 1
                    gate.taken += fires(edge, source)
        return gate

    def _arrive(self, scope: Scope, target: Address, taken: bool) -> None:
        key = self.state.plan.place(target)
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
        self.agenda.append((scope, target, self.create(scope, target, Move.SKIP)))
        if target.node in self.state.plan.ends and self.state.outcome is None and self.state.ends_skipped:
            self.state.outcome = RunStatus.FAILED
            self.stop()

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
        state.open(scope)
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
        """One thing in the scope is decided. When everything is, `_END` says what follows."""
        scope.unresolved -= 1
        while scope.unresolved == 0:
            outer = _END[self.state.plan.scopes[scope.scope].kind](self, scope)
            if outer is None:
                return
            scope = outer
            scope.unresolved -= 1

    def stay(self, scope: Scope) -> None:
        """The root stays open; `finish` says when the run has ended."""

    def close(self, scope: Scope) -> Scope:
        """Close the scope. What it gives, its `collect` edges have delivered with the last item. Returns the one around it."""
        assert scope.parent is not None, "the root scope stays open"
        self.state.close(scope)
        self.commands.append(SaveScope(scope, open=False))
        return self.state.scopes[scope.parent]

    # -- ends --------------------------------------------------------------------------------------------

    def fail(
        self,
        scope: Scope,
        activation: Activation,
        address: Address,
        move: Move,
        columns: ActivationColumns,
    ) -> None:
        """This fails the run. What is under way is cancelled, or finishes, as the workflow says; nothing starts."""
        first = self.state.outcome is None
        if first:
            self.state.outcome = RunStatus.FAILED  # before the move, which would start the next item of a map
        self.move(scope, activation, address, move, columns)
        if first:
            self.stop()

    def stop(self) -> None:
        """Stop what a run that ends does not wait for. A submission is left to end first, so that its handle is known.

        Nothing starts in such a run, so what waits for another try of its own or of its submission stops in any case.
        """
        movable = {S.BACKOFF}
        if self.ending:
            movable |= {S.RUNNING, S.WAITING}
        if self.state.outcome is RunStatus.CANCELLED:
            movable |= {S.READY, S.SUBMIT_UNKNOWN}
        for address in list(self.state.addresses(S)):
            scope, activation = self.locate(self, address)
            # Where its own chain has an open operation, that says what becomes of it. Else it stops before the others,
            # whose ends would tell it to go on.
            if activation.own in movable and activation.open_in() is None:
                self._stop_one(scope, activation, address)
            for open_, operation in list(self.state.open_operations(address)):
                if operation.state in movable:
                    self.cancel_operation(scope, activation, open_)

    def _stop_one(self, scope: Scope, activation: Activation, address: Address) -> None:
        if activation.own is S.RUNNING:
            self.move(scope, activation, address, Move.CANCEL)
            self.commands.append(CancelCall(address))
        else:
            activation.wake_at = None
            self.move(scope, activation, address, Move.CANCEL, {"wake_at": None})

    def unwanted(self, activation: Activation) -> bool:
        """Whether nobody waits for its operations any more: the run ends, or it has succeeded without them."""
        return self.ending or activation.own is S.SUCCEEDED

    def cancel_operation(self, scope: Scope, activation: Activation, address: OperationAddress) -> None:
        """Nobody waits for this operation any more. A result that is stored is kept for a retry.

        Where it ends by this, and is of the activation's own chain, the activation is cancelled.
        """
        operation = self.operation(activation, address)
        if operation.has_outcome:
            self.save_operation(activation, address, Move.SUCCEED)
        elif operation.state is S.WAITING:
            self.save_operation(activation, address, Move.CANCEL, detail="run")
            self.commands.append(CancelRemote(address))
            return
        else:
            self.save_operation(activation, address, Move.CANCEL)
        if not address.chain:
            self.move(scope, activation, address.address, Move.ACKNOWLEDGE)

    def abandon(self, scope: Scope, activation: Activation, address: Address) -> None:
        """The activation succeeds: what is open of other chains is cancelled, and holds up nothing but its scope."""
        if not activation.open():
            activation.operations = None
            return
        for open_, operation in list(self.state.open_operations(address)):
            if operation.state not in (S.SUBMITTING, S.CANCELLING):
                self.cancel_operation(scope, activation, open_)
        left = activation.open()
        scope.unresolved += len(left)
        operations = activation.operations
        activation.operations = (
            None if operations is None or not left else {one: operations[one] for one in left}
        )

    # -- operations --------------------------------------------------------------------------------------

    def operation(self, activation: Activation, address: OperationAddress) -> Operation:
        """The operation, which is one of the activation's."""
        assert activation.operations is not None, f"{address} has no operation"
        return activation.operations[address.chain, address.number]

    def create_operation(
        self, activation: Activation, address: OperationAddress, move: Move, **columns: object
    ) -> Operation:
        """A new operation of the activation, with these of its fields."""
        if activation.operations is None:
            activation.operations = {}
        to = OPERATIONS[move][None]
        key = OperationKey(*self.state.key(address.address), address.attempt, address.chain, address.number)
        was = activation.state
        operation = activation.operations[address.chain, address.number] = Operation(to, key)
        self.state.count_moved(activation, was)
        self._save_fields(operation, to, columns)
        return operation

    def save_operation(
        self, activation: Activation, address: OperationAddress, move: Move, **changed: object
    ) -> None:
        """The operation's state changes, and with it these of its fields; all others that wait are cleared.

        What its end means for an activation that goes on is the caller's to say.
        """
        operation = self.operation(activation, address)
        was = operation.state
        to = OPERATIONS[move][was]
        if to is not was:
            self.state.move_operation(activation, operation, to)
        self._save_fields(operation, to, changed)
        if to.terminal:
            self._let_go(activation, address)

    def _save_fields(self, operation: Operation, to: State, changed: dict[str, object]) -> None:
        operation.wake_at = None
        operation.detail = None
        for name, value in changed.items():
            setattr(operation, name, value)
        changed.pop("has_outcome", None)
        columns: Any = {"state": to, "wake_at": None, "detail": None, **changed}  # names are the record's
        self.commands.append(SaveOperation(operation.key, columns))

    def _let_go(self, activation: Activation, address: OperationAddress) -> None:
        """An operation has ended: what waited for that alone goes on."""
        if activation.own is S.SUCCEEDED:
            assert activation.operations is not None
            scope = self.state.instance(address.address)
            assert scope is not None, f"the scope of {address} is closed"
            del activation.operations[address.chain, address.number]
            activation.operations = activation.operations or None
            self._resolve_one(scope)
        elif activation.own is S.BACKOFF and not activation.open():
            self.commands.append(Wake(activation.wake_at or 0.0, address.address))

    def finish(self) -> None:
        """Say so when the run has ended."""
        state = self.state
        if state.live:
            return
        if state.outcome is None:
            state.outcome = RunStatus.FAILED if state.end is None else RunStatus.SUCCEEDED
        self.commands.append(Finish(state.outcome))


_END: Final[Mapping[ScopeKind, Callable[[Step, Scope], Scope | None]]] = {
    ScopeKind.ROOT: Step.stay,
    ScopeKind.MAP: Step.close,
}
"""What follows when everything in a scope is decided, by the scope's kind: it gives the scope in which one more thing is
decided by that. Nothing enters scopes of other kinds yet."""

"""Build a run's state from rows, without folding its history.

Only open scopes are needed: their activations with the operations of the current attempts (of those that have succeeded
the open ones), the numbers of the instances inside them, and the newest instance number. What was decided can be seen from these, so gates are counted anew.
"""

from __future__ import annotations

from ...checkpoints.records import (
    ActivationRecord,
    Loaded,
    OperationRecord,
    ScopeRecord,
    State,
    SubmissionKey,
    SubmissionRecord,
)
from ._flow import fires
from .addresses import Address, OperationAddress
from .plan import EdgeKind, Plan, PlanEdge
from .policy import Policies
from .state import Activation, Gate, Operation, RunState, Scope

S = State


def restore(plan: Plan, policies: Policies, loaded: Loaded) -> RunState:
    """The state that these rows describe: equal to the one that was live when they were written."""
    state = RunState(plan=plan, policies=policies, outcome=loaded.run.outcome)
    state.open(Scope(number=0, scope=0, parent=None, path=(), size=1, next=1))
    for scope_record in sorted(loaded.scopes, key=lambda record: record.number):
        _add_scope(state, scope_record)
    for activation_record in loaded.activations:
        _add_activation(state, activation_record)
    for operation_record in loaded.operations:
        _add_operation(state, operation_record)
    for submission in sorted(loaded.handles, key=lambda record: record.fate != "accepted"):
        _add_handle(state, submission)  # the one that counts first
    for stray in loaded.strays:
        state.strays[_submission(stray.key, stray.path)] = stray.key
    for scope in state.scopes.values():
        scope.unresolved += scope.size - scope.next
        if scope.parent is not None:
            state.scopes[scope.parent].unresolved += 1
        for activation in scope.activations.values():
            state.count(activation, 1)
    for target in _awaited(state):
        _add_gate(state, target)
    return state


def operation_address(record: OperationRecord) -> OperationAddress:
    """Which operation the row is about."""
    key = record.key
    return OperationAddress(Address(key.node, record.path), key.attempt, key.chain, key.number)


def operation_of(record: OperationRecord) -> Operation:
    """The operation that the row describes."""
    return Operation(
        state=record.state,
        key=record.key,
        submission=record.submission,
        unknown=record.unknown,
        refused=record.refused,
        trying_since=record.trying_since,
        sent_at=record.sent_at,
        accepted_at=record.accepted_at,
        wake_at=record.wake_at,
        detail=record.detail,
        has_outcome=record.has_outcome,
    )


def _submission(key: SubmissionKey, path: tuple[int, ...]) -> tuple[OperationAddress, int]:
    operation = key.operation
    address = Address(operation.node, path)
    return OperationAddress(address, operation.attempt, operation.chain, operation.number), key.submission


def _add_scope(state: RunState, record: ScopeRecord) -> None:
    state.next_number = max(state.next_number, record.number + 1)
    if record.parent not in state.scopes:  # closed inside a closed one: given for its number only
        return
    scope = Scope(
        number=record.number,
        scope=record.scope,
        parent=record.parent,
        path=record.path,
        size=record.size,
        collecting={edge.index: record.size for edge in state.plan.collects[record.scope]},
    )
    if record.open:
        state.open(scope)
    else:
        state.remember(scope)


def _add_activation(state: RunState, record: ActivationRecord) -> None:
    scope = state.scopes.get(record.key.scope)
    if scope is None:
        return
    activation = Activation(
        own=record.state,
        attempt=record.attempt,
        failures=record.failures,
        wake_at=record.wake_at,
        taken=record.taken,
        items=record.items,
    )
    scope.activations[record.key.node, record.key.item] = activation
    scope.unresolved += not activation.decided
    state.undecided += record.state is S.SUCCEEDED and record.taken is None
    entry = state.plan.map_edges.get(scope.scope)
    if entry is not None and entry.target == record.key.node:
        scope.next = max(scope.next, record.key.item + 1)
        scope.active += not record.state.terminal
    if activation.decided:
        for edge in state.plan.outgoing[record.key.node]:
            if edge.kind is EdgeKind.COLLECT:
                scope.collecting[edge.index] -= 1


def _add_operation(state: RunState, record: OperationRecord) -> None:
    scope = state.scopes.get(record.key.scope)
    activation = None if scope is None else scope.activations.get((record.key.node, record.key.item))
    if scope is None or activation is None or activation.attempt != record.key.attempt:
        return
    if activation.own is S.SUCCEEDED:
        if record.state.terminal:
            return
        scope.unresolved += 1
    if activation.operations is None:
        activation.operations = {}
    activation.operations[record.key.chain, record.key.number] = operation_of(record)


def _add_handle(state: RunState, record: SubmissionRecord) -> None:
    address, number = _submission(record.key, record.path)
    operation = state.operation(address)
    if operation is not None and record.handle is not None:
        operation.handles[number] = record.handle


def _awaited(state: RunState) -> list[Address]:
    """Targets to which at least one edge of their own scope has delivered, and which do not exist yet."""
    targets: dict[Address, None] = {}
    plan = state.plan
    for scope in state.scopes.values():
        for (node, item), activation in scope.activations.items():
            if not activation.decided:
                continue
            path = state.address_in(scope, node, item).path
            for edge in plan.outgoing[node]:
                match edge.kind:
                    case EdgeKind.PLAIN | EdgeKind.JOIN:
                        if edge.index not in plan.reaching_in:
                            targets[Address(edge.target, path)] = None
                    case EdgeKind.MAP if edge.scope is not None:
                        for collect in plan.collects[edge.scope]:
                            if _decided(state, collect, path) is not None:
                                targets[Address(collect.target, path)] = None
                    case _:
                        pass
    return [target for target in targets if state.find(target) is None]


def _decided(state: RunState, edge: PlanEdge, path: tuple[int, ...]) -> bool | None:
    """Whether the edge into the activation at `path` has delivered (True), skipped (False) or neither."""
    plan = state.plan
    if edge.kind is EdgeKind.COLLECT:
        assert edge.scope is not None
        number = state.entered(edge.scope, path)
        if number is not None:
            scope = state.scopes.get(number)
            return True if scope is None or scope.collecting[edge.index] == 0 else None
        source = state.find(Address(plan.map_edges[edge.scope].source, path))
        return False if source is not None and source.own is S.SKIPPED else None
    source = state.find(Address(edge.source, plan.path_in(edge.source, path)))
    return None if source is None or not source.decided else fires(edge, source)


def _add_gate(state: RunState, target: Address) -> None:
    plan, scope = state.plan, state.instance(target)
    assert scope is not None
    gate = Gate(0)
    for edge in plan.incoming[target.node]:
        decided = _decided(state, edge, target.path)
        if decided is not None:
            gate.taken += decided
            continue
        gate.pending += 1
        if edge.index in plan.reaching_in:
            outer = Address(edge.source, plan.path_in(edge.source, target.path))
            state.waiters.setdefault(outer, set()).add(target)
    scope.gates[plan.place(target)] = gate
    scope.unresolved += 1

"""Activations with their operations and the submissions of these, decoded from their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.records import ActivationRecord, OperationKey, OperationRecord, State, SubmissionRecord
from ...engine.core.addresses import Address, OperationAddress
from ...engine.core.plan import Plan

S = State


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One sending of an operation's request."""

    record: SubmissionRecord
    error: Mapping[str, Any] | None
    usage: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One operation of an activation, of any of its attempts."""

    record: OperationRecord
    token: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    submissions: Sequence[Submission]

    @property
    def address(self) -> OperationAddress:
        key = self.record.key
        return OperationAddress(Address(key.node, self.record.path), key.attempt, key.chain, key.number)

    @property
    def held(self) -> bool:
        """Whether a person is to decide what becomes of its submission."""
        return self.record.state is S.SUBMIT_UNKNOWN and self.record.detail == "held"


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation:
    """One activation. While one of its operations is open, its state is that operation's."""

    record: ActivationRecord
    kind: str
    operations: Sequence[Operation]
    """Of all attempts, oldest first."""
    failure: Mapping[str, Any] | None
    """The error of the last attempt that failed."""

    @property
    def address(self) -> Address:
        return Address(self.record.key.node, self.record.path)

    @property
    def all_open(self) -> Sequence[Operation]:
        """The operations that go on, one of a chain at most."""
        return [one for one in self.operations if is_open(one.record, self.record)]

    @property
    def open(self) -> Operation | None:
        """The first of the operations that go on."""
        return next((one for one in self.operations if is_open(one.record, self.record)), None)

    @property
    def state(self) -> State:
        return self.record.state if self.open is None else self.open.record.state

    @property
    def wake_at(self) -> float | None:
        """When something is due."""
        return self.record.wake_at if self.open is None else self.open.record.wake_at

    @property
    def updated_at(self) -> float:
        return max([self.record.updated_at, *(one.record.updated_at for one in self.operations)])

    @property
    def token(self) -> Mapping[str, Any] | None:
        """The token of the current attempt: the open operation's, else the last one."""
        if self.open is not None:
            return self.open.token
        ours = [one.token for one in self.operations if one.record.key.attempt == self.record.attempt]
        return next((token for token in reversed(ours) if token is not None), None)

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What went wrong last. What went wrong before it succeeded is past."""
        if self.record.state is S.SUCCEEDED and self.record.taken is not None:
            return None
        if self.open is not None and self.open.record.state in (S.SUBMIT_UNKNOWN, S.BACKOFF):
            return self.open.error or self.failure
        return self.failure

    @property
    def submissions(self) -> int:
        """How many submissions were sent, in all attempts."""
        return sum(len(one.submissions) for one in self.operations)

    @property
    def unknown(self) -> int:
        """How often a submission's fate was unknown, in all attempts."""
        return sum(one.record.unknown for one in self.operations)

    @property
    def usage(self) -> Mapping[str, Any]:
        """The sum of what the providers counted, in all attempts."""
        return add_up(submission.usage for one in self.operations for submission in one.submissions)


def is_open(operation: OperationRecord, activation: ActivationRecord) -> bool:
    """Whether the operation is what the activation does now."""
    return (
        operation.key.activation == activation.key
        and operation.key.attempt == activation.attempt
        and activation.state is not S.SUCCEEDED
        and not operation.state.terminal
    )


def activations_of(
    plan: Plan,
    activations: Iterable[ActivationRecord],
    operations: Iterable[OperationRecord],
    submissions: Iterable[SubmissionRecord] = (),
) -> list[Activation]:
    """Activations made of their rows, in the order of the graph, then of their items."""
    sent: dict[OperationKey, list[Submission]] = {}
    for submission in submissions:
        sent.setdefault(submission.key.operation, []).append(_submission(submission))
    by_activation: dict[object, list[Operation]] = {}
    for operation in operations:
        by_activation.setdefault(operation.key.activation, []).append(
            _operation(operation, sent.get(operation.key, ()))
        )
    order = {node.name: index for index, node in enumerate(plan.nodes)}
    return [
        Activation(
            record=record,
            kind=plan.node[record.key.node].kind,
            operations=by_activation.get(record.key, ()),
            failure=_unpacked(record.error),
        )
        for record in sorted(activations, key=lambda record: (order[record.key.node], record.path))
    ]


def add_up(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of several usages."""
    total: dict[str, Any] = {}
    for one in counts:
        total = _add(total, one)
    return total


def _add(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up counts; counts inside of counts too. What is no number is left out."""
    added = dict(total)
    for name, value in more.items():
        match value:
            case bool() | str() | None:
                continue
            case int() | float():
                added[name] = added.get(name, 0) + value
            case dict():
                added[name] = _add(added.get(name, {}), value)  # pyright: ignore[reportUnknownArgumentType]
            case _:
                continue
    return added


def _operation(record: OperationRecord, submissions: Sequence[Submission]) -> Operation:
    return Operation(
        record=record,
        token=_unpacked(record.token),
        error=_unpacked(record.error),
        submissions=submissions,
    )


def _submission(record: SubmissionRecord) -> Submission:
    return Submission(record=record, error=_unpacked(record.error), usage=_unpacked(record.usage) or {})


def _unpacked(data: bytes | None) -> Mapping[str, Any] | None:
    return None if data is None else unpack(data)

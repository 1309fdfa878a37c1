"""The rows that a driver would have committed, made of the Save commands alone, and what a store hands out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from perdure.checkpoints.records import (
    NO_LABELS,
    ActivationColumns,
    ActivationKey,
    ActivationRecord,
    Loaded,
    OperationColumns,
    OperationKey,
    OperationRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    State,
    SubmissionColumns,
    SubmissionKey,
    SubmissionRecord,
)
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.commands import (
    Command,
    SaveActivation,
    SaveOperation,
    SaveScope,
    SaveSubmission,
)

S = State
URGENT = (S.SUBMITTING, S.CANCELLING, S.WAITING, S.BACKOFF, S.SUBMIT_UNKNOWN)
LIVE = (S.RUNNING, S.SUBMITTING, S.SUBMIT_UNKNOWN, S.WAITING, S.BACKOFF, S.CANCELLING)


@dataclass
class Rows:
    """What is stored of one run."""

    status: RunStatus = RunStatus.RUNNING
    outcome: RunStatus | None = None
    activations: dict[ActivationKey, ActivationRecord] = field(
        default_factory=dict[ActivationKey, ActivationRecord]
    )
    operations: dict[OperationKey, OperationRecord] = field(
        default_factory=dict[OperationKey, OperationRecord]
    )
    submissions: dict[SubmissionKey, SubmissionRecord] = field(
        default_factory=dict[SubmissionKey, SubmissionRecord]
    )
    scopes: dict[int, ScopeRecord] = field(default_factory=dict[int, ScopeRecord])

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, commands: Iterable[Command], *, status: RunStatus, outcome: RunStatus | None) -> None:
        """One transition."""
        self.status, self.outcome = status, outcome
        for command in commands:
            match command:
                case SaveActivation(key, columns):
                    self._activation(key, columns)
                case SaveOperation(key, columns):
                    self._operation(key, columns)
                case SaveSubmission(key, columns):
                    self._submission(key, columns)
                case SaveScope(scope, is_open):
                    assert scope.parent is not None
                    record = ScopeRecord(
                        number=scope.number,
                        scope=scope.scope,
                        parent=scope.parent,
                        path=scope.path,
                        size=scope.size,
                        open=is_open,
                    )
                    known = self.scopes.get(scope.number)
                    assert known == (None if is_open else record._replace(open=True))
                    self.scopes[scope.number] = record
                case _:
                    pass

    def _activation(self, key: ActivationKey, columns: ActivationColumns) -> None:
        known = self.activations.get(key) or ActivationRecord(
            run=1,
            key=key,
            path=self._path(key),
            state=S.READY,
            attempt=1,
            failures=0,
            wake_at=None,
            started_at=0.0,
            updated_at=0.0,
            taken=None,
            items=None,
            error=None,
            has_result=False,
        )
        self.activations[key] = known._replace(**columns)  # type: ignore[misc]  # the core sets no payloads

    def _operation(self, key: OperationKey, columns: OperationColumns) -> None:
        known = self.operations.get(key) or OperationRecord(
            run=1,
            key=key,
            path=self.activations[key.activation].path,
            state=S.READY,
            submission=0,
            unknown=0,
            refused=0,
            trying_since=None,
            sent_at=None,
            accepted_at=None,
            wake_at=None,
            detail=None,
            started_at=0.0,
            updated_at=0.0,
            token=None,
            error=None,
            has_outcome=False,
        )
        self.operations[key] = known._replace(**columns)  # type: ignore[misc]  # the core sets no payloads

    def _submission(self, key: SubmissionKey, columns: SubmissionColumns) -> None:
        known = self.submissions.get(key) or SubmissionRecord(
            run=1,
            key=key,
            path=self.operations[key.operation].path,
            fate="sent",
            handle=None,
            token=None,
            source=None,
            sent_at=0.0,
            updated_at=0.0,
            error=None,
            usage=None,
        )
        self.submissions[key] = known._replace(**columns)

    def keep_outcome(self, key: OperationKey) -> None:
        """A driver stores what the operation gave in the transition that says so."""
        self.operations[key] = self.operations[key]._replace(has_outcome=True)

    def _path(self, key: ActivationKey) -> tuple[int, ...]:
        return (*self.scopes[key.scope].path, key.item) if key.scope else ()

    # -- reading -----------------------------------------------------------------------------------------

    def address(self, key: ActivationKey) -> Address:
        """Which activation the row is of."""
        return Address(key.node, self.activations[key].path)

    def by_address(self) -> dict[Address, ActivationRecord]:
        """The activations with the state that people see: the most urgent of what is open of those that go on."""
        found: dict[Address, ActivationRecord] = {}
        opened = self.opened()
        for row in self.activations.values():
            address, states = Address(row.key.node, row.path), opened.get(row.key, [])
            if not row.state.terminal and states:
                states = states if row.state is S.RUNNING else [*states, row.state]
                row = row._replace(state=next(state for state in URGENT if state in states))
            found[address] = row
        return found

    def opened(self) -> dict[ActivationKey, list[State]]:
        """The states of the operations that have not ended, by their activation."""
        found: dict[ActivationKey, list[State]] = {}
        chains: set[tuple[ActivationKey, str]] = set()
        for operation in self.operations.values():
            if not operation.state.terminal:
                key = operation.key.activation
                assert self.activations[key].attempt == operation.key.attempt, f"{key} left it behind"
                assert (key, operation.key.chain) not in chains, f"two of one chain of {key} are open"
                chains.add((key, operation.key.chain))
                found.setdefault(key, []).append(operation.state)
        return found

    def remaining(self) -> list[OperationRecord]:
        """The operations that have not ended, of activations that have."""
        return [
            operation
            for operation in self.operations.values()
            if not operation.state.terminal and self.activations[operation.key.activation].state.terminal
        ]

    def held_open(self) -> set[tuple[int, tuple[int, ...]]]:
        """The scope instances in which an activation has succeeded that has open operations, with those around them."""
        found: set[tuple[int, tuple[int, ...]]] = set()
        for operation in self.remaining():
            if self.activations[operation.key.activation].state is S.SUCCEEDED:
                number = operation.key.scope
                while number:
                    scope = self.scopes[number]
                    found.add((scope.scope, scope.path))
                    number = scope.parent
        return found

    def operation(self, address: OperationAddress) -> OperationRecord:
        """The operation's row."""
        (found,) = (
            row
            for row in self.operations.values()
            if (row.key.node, row.path) == address.address and row.key[3:] == address[1:]
        )
        return found

    def loaded(self, *, open_only: bool = True) -> Loaded:
        """What it takes to go on, or (not `open_only`) all there is."""
        is_open = {0, *(number for number, record in self.scopes.items() if record.open)}
        newest = max(self.scopes, default=0)
        activations = [
            row
            for key, row in sorted(self.activations.items(), key=lambda entry: entry[0])
            if not open_only or key.scope in is_open
        ]
        attempts = {row.key: row.attempt for row in activations}
        over = {row.key for row in activations if row.state is S.SUCCEEDED}
        return Loaded(
            run=self.run(),
            scopes=[
                record
                for number, record in sorted(self.scopes.items())
                if not open_only or record.open or record.parent in is_open or number == newest
            ],
            activations=activations,
            operations=[
                row
                for key, row in sorted(self.operations.items(), key=lambda entry: entry[0])
                if not open_only
                or (
                    attempts.get(key.activation) == key.attempt
                    and not (key.activation in over and row.state.terminal)
                )
            ],
            handles=[
                row
                for row in self.submissions.values()
                if row.handle is not None
                and (not open_only or attempts.get(row.key.operation.activation) == row.key.operation.attempt)
            ],
            strays=[row for row in self.submissions.values() if row.fate == "stray"],
        )

    def live(self) -> tuple[list[ActivationRecord], list[OperationRecord]]:
        """The activations and operations that have not ended."""
        return (
            [row for row in self.activations.values() if not row.state.terminal],
            [row for row in self.operations.values() if not row.state.terminal],
        )

    def run(self) -> RunRecord:
        """The run's row, of which the core wants the outcome alone."""
        return RunRecord(
            key=1,
            id="run",
            workflow="w",
            signature="",
            nonce="nonce",
            status=self.status,
            outcome=self.outcome,
            created_at=0.0,
            updated_at=0.0,
            finished_at=None,
            input_digest=b"",
            owner=None,
            fence=1,
            position=0,
            error=None,
            policies=None,
            labels=NO_LABELS,
            code=None,
        )

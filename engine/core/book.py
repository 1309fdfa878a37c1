"""`Book`: one run's state with its place in the journal. It turns results of commands into what is to be written and done.

Pure: every driver keeps one for each run that it moves, writes the `Page` that `apply` gives in one transaction, and
then begins the page's effects. Values and tokens pass through as bytes, errors as plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ...checkpoints.records import (
    ActivationColumns,
    ActivationKey,
    OperationColumns,
    OperationKey,
    RunStatus,
    ScopeRecord,
    State,
    SubmissionColumns,
    SubmissionKey,
    Value,
)
from . import events
from .addresses import Address, OperationAddress
from .commands import Effect, SaveActivation, SaveOperation, SaveScope, SaveSubmission, Wake
from .events import CoreEvent
from .journal import to_journal
from .machine import advance
from .policy import Policies
from .sources import deciding_edges
from .state import RunState, Scope

_WITH_POLICIES = (events.RunStarted, events.PoliciesChanged, events.RunRetried)
_WAITS = (events.AttemptFailed, events.SubmissionRefused, events.SubmissionUnknown)
"""Events of which people want to know when it goes on."""


class Change(NamedTuple):
    """The result of a command: an event, and the payloads that belong into the same transition."""

    event: CoreEvent
    activation: ActivationColumns | None = None
    operation: OperationColumns | None = None
    submission: SubmissionColumns | None = None
    note: Mapping[str, Any] | None = None
    """What the journal tells people beside the event."""
    failure: Mapping[str, Any] | None = None
    """What went wrong, as plain data: told in the journal, and the run's error if the run fails by this."""
    cause: BaseException | None = None
    """The exception itself, for those who wait for the run in this process."""


class Entry(NamedTuple):
    """One entry of the journal. `data` is plain."""

    position: int
    at: float
    type: str
    node: str | None
    path: tuple[int, ...]
    data: Mapping[str, Any]


class Page:
    """What one transition writes, and what is to be done once it is written."""

    __slots__ = (
        "activations",
        "at",
        "effects",
        "entries",
        "operations",
        "policies",
        "position",
        "results",
        "scopes",
        "submissions",
    )

    def __init__(self, position: int, at: float) -> None:
        self.position = position
        """How many entries the journal has before it."""
        self.at = at
        self.policies: Policies | None = None
        self.entries: list[Entry] = []
        self.activations: dict[ActivationKey, ActivationColumns] = {}
        self.operations: dict[OperationKey, OperationColumns] = {}
        self.submissions: dict[SubmissionKey, SubmissionColumns] = {}
        self.scopes: dict[int, ScopeRecord] = {}
        self.effects: list[Effect] = []
        self.results: dict[ActivationKey, Value] = {}
        """The outputs that it writes."""


class Book:
    """The state of a run, and where it stands in the journal."""

    __slots__ = ("cause", "error", "position", "state")

    def __init__(self, state: RunState, position: int = 0, error: Mapping[str, Any] | None = None) -> None:
        self.state = state
        self.position = position
        """How many entries the journal has."""
        self.error = error
        """What the run failed of first, as plain data; None unless it has failed or is failing."""
        self.cause: BaseException | None = None
        """The exception of that failure, where it was raised in this process."""

    def apply(self, changes: Iterable[Change], at: float) -> Page:
        """Advance by these changes. `at` is the moment of a page that has none.

        Raises `IllegalEventError`; if that is the first change's, nothing has changed.
        """
        page = Page(self.position, at)
        for change in changes:
            page.at = change.event.at
            if isinstance(change.event, _WITH_POLICIES) and change.event.policies is not None:
                page.policies = change.event.policies
            self._advance(change, page)
        if self.state.outcome is not None or self.error is not None:
            self._settle_error()
        return page

    def _advance(self, change: Change, page: Page) -> None:
        event = change.event
        undecided = self.state.outcome is None
        address: Address | None = getattr(event, "address", None)
        operation: OperationAddress | None = getattr(event, "operation", None)
        if address is None and operation is not None:
            address = operation.address
        # Asked for before, because a scope may close in this very step.
        key = self._key_of(address) if change.activation or change.operation or change.submission else None
        submission = self._submission_of(operation) if change.submission else None
        waits: float | None = None
        for command in advance(self.state, event):
            if isinstance(command, SaveOperation):
                _save(page.operations, *command)
            elif isinstance(command, SaveSubmission):
                _save(page.submissions, *command)
                submission = command.key
            elif isinstance(command, SaveActivation):
                _save(page.activations, *command)
            elif isinstance(command, SaveScope):
                page.scopes[command.scope.number] = _scope_record(command.scope, command.open)
            else:
                if isinstance(command, Wake):
                    waits = command.at
                page.effects.append(command)
        if key is not None:
            _add_payloads(page, change, key, operation)
        if submission is not None and change.submission:
            page.submissions.setdefault(submission, {"fate": "accepted"}).update(change.submission)
        if undecided and self.state.outcome is RunStatus.FAILED and change.failure is not None:
            self.cause = change.cause
            self.error = change.failure if address is None else {**change.failure, "node": str(address)}
        self.position += 1
        page.entries.append(self._entry(change, waits))

    def _key_of(self, address: Address | None) -> ActivationKey | None:
        scope = None if address is None else self.state.instance(address)
        if address is None or scope is None:
            return None
        return ActivationKey(scope.number, *self.state.plan.place(address))

    def _submission_of(self, operation: OperationAddress | None) -> SubmissionKey | None:
        """The operation's submission that counts: the newest, or the one whose handle was adopted."""
        known = None if operation is None else self.state.operation(operation)
        if known is None or not known.submission:
            return None
        return SubmissionKey(known.key, next(iter(known.handles), known.submission))

    def _entry(self, change: Change, waits: float | None) -> Entry:
        kind, node, path, data = to_journal(change.event)
        if change.note or change.failure or waits is not None:
            told = dict(data)
            if change.note:
                told.update(change.note)
            if change.failure:
                told["error"] = change.failure
            if waits is not None and isinstance(change.event, _WAITS):
                told["wake_at"] = waits
            data = told
        return Entry(self.position, change.event.at, kind, node, path, data)

    def _settle_error(self) -> None:
        """The run's error is that of its first failure, or that its end was skipped."""
        if self.state.outcome in (None, RunStatus.SUCCEEDED, RunStatus.CANCELLED):
            self.error = self.cause = None
        elif self.error is None:
            plan = self.state.plan
            if self.state.ends_skipped:
                what = (
                    f"node {plan.ends[0]}, the end of workflow {plan.workflow}, was skipped"
                    if len(plan.ends) == 1
                    else f"the ends of workflow {plan.workflow}, {', '.join(plan.ends)}, were all skipped"
                )
                self.error = {"type": "EndSkipped", "message": f"{what}: {deciding_edges(self.state)}"}
            else:
                failed = next(self.state.addresses([State.FAILED]), None)
                where = {} if failed is None else {"node": str(failed)}
                self.error = {"type": "Error", "message": "no reason was recorded", **where}


def _add_payloads(page: Page, change: Change, key: ActivationKey, operation: OperationAddress | None) -> None:
    if change.activation and key in page.activations:
        page.activations[key].update(change.activation)
        result = change.activation.get("result")
        if result is not None:
            page.results[key] = result
    if operation is None:
        return
    row = OperationKey(*key, operation.attempt, operation.chain, operation.number)
    if change.operation and row in page.operations:
        page.operations[row].update(change.operation)


def _save(rows: dict[Any, Any], key: Any, columns: Any) -> None:
    known = rows.get(key)
    if known is None:
        rows[key] = columns
    else:
        known.update(columns)


def _scope_record(scope: Scope, open_: bool) -> ScopeRecord:
    return ScopeRecord(
        number=scope.number,
        scope=scope.scope,
        parent=scope.parent or 0,
        path=scope.path,
        size=scope.size,
        open=open_,
    )

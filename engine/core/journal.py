"""The journal's form of events: a word, the node and path it is about, and plain data.

`to_journal` and `from_journal` are inverse: folding what was read back gives the state that was live. What is added to
the data for people (an error, a handle) is left out when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from . import events
from .addresses import Address, OperationAddress
from .events import CoreEvent
from .policy import Policies

NAMES: Mapping[type[Any], str] = {
    events.RunStarted: "run_started",
    events.PoliciesChanged: "policies_changed",
    events.RunRetried: "run_retried",
    events.CancelRequested: "cancel_requested",
    events.Succeeded: "succeeded",
    events.EdgesDecided: "edges_decided",
    events.EdgesFailed: "edges_failed",
    events.AttemptFailed: "attempt_failed",
    events.BackoffEnded: "backoff_ended",
    events.Cancelled: "cancelled",
    events.SubmissionIntended: "submission_intended",
    events.SubmissionRefused: "submission_refused",
    events.SubmissionUnknown: "submission_unknown",
    events.NothingFound: "nothing_found",
    events.Submitted: "submitted",
    events.Opened: "opened",
    events.HandleFound: "handle_found",
    events.StrayCancelled: "stray_cancelled",
    events.FateDecided: "fate_decided",
    events.TokenAdvanced: "token_advanced",
    events.FetchStarted: "fetch_started",
    events.Fetched: "fetched",
    events.OperationEnded: "operation_ended",
    events.GivenUp: "given_up",
}
"""The journal's word for each event."""

_TYPES = {name: kind for kind, name in NAMES.items()}
_REQUIRED = object()
_PLAIN = {
    kind: tuple(
        (index, field, kind._field_defaults.get(field, _REQUIRED))
        for index, field in enumerate(kind._fields)
        if field not in ("at", "address", "operation", "policies")
    )
    for kind in NAMES
}
"""The fields of each event that are plain data, with their places and defaults."""
_AT_ADDRESS = frozenset(kind for kind in NAMES if "address" in kind._fields)
_AT_OPERATION = frozenset(kind for kind in NAMES if "operation" in kind._fields)
_NO_DATA: Mapping[str, Any] = {}


JournalForm: TypeAlias = tuple[str, str | None, tuple[int, ...], Mapping[str, Any]]
"""An event as the journal keeps it, beside its moment: its word, the node and path that it is about, its data."""


def to_journal(event: CoreEvent) -> JournalForm:
    """The event's entry. Fields that have their default are left out."""
    kind = type(event)
    data: dict[str, Any] = {}
    for place, name, default in _PLAIN[kind]:
        value: Any = event[place]
        if value != default or default is _REQUIRED:
            data[name] = list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]  # of numbers
    address: Address | None = getattr(event, "address", None)
    operation: OperationAddress | None = getattr(event, "operation", None)
    if operation is not None:
        address = operation.address
        if kind in _AT_ADDRESS or operation[1:] != (1, "", 0):
            data["operation"] = list(operation[1:])
    policies: Policies | None = getattr(event, "policies", None)
    if policies is not None and (
        policies.plain or kind is events.RunRetried
    ):  # a retry may bring none at all
        data["policies"] = policies.plain
    if address is None:
        return NAMES[kind], None, (), data
    return NAMES[kind], address.node, address.path, data or _NO_DATA


def from_journal(
    name: str, at: float, node: str | None, path: tuple[int, ...], data: Mapping[str, Any]
) -> CoreEvent:
    """The event that was journaled so. Raises `KeyError` for a word that this version does not know."""
    kind = _TYPES[name]
    given: dict[str, Any] = {"at": at}
    for _, field, default in _PLAIN[kind]:
        if field in data:
            value = data[field]
            given[field] = tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType]  # of numbers
        elif default is _REQUIRED:
            raise KeyError(field)
    if node is not None:
        address = Address(node, path)
        if kind in _AT_ADDRESS:
            given["address"] = address
        if kind in _AT_OPERATION and (kind not in _AT_ADDRESS or "operation" in data):
            given["operation"] = OperationAddress(address, *data.get("operation", (1, "", 0)))
    if (
        kind is events.RunStarted
        or kind is events.PoliciesChanged
        or (kind is events.RunRetried and "policies" in data)
    ):
        given["policies"] = Policies.from_plain(data.get("policies", _NO_DATA))
    return kind(**given)

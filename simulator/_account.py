"""The ledger as tests read it: typed, and with the counts that they assert on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._script import Route, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedRequest:
    """One request that reached the simulator."""

    number: int
    """From 1, in order of arrival."""
    at: float
    """Seconds since the epoch."""
    route: Route
    method: str
    path: str
    query: str
    body: Any
    """The JSON that was sent; its text where it was none; None without a body."""
    idempotency_key: str | None
    request_id: str
    """As replied in `x-request-id`."""
    outcome: str | None
    """`accepted` (a create that took effect, whatever the reply), `answered`, `refused`, `fault` (no effect because
    of a scripted fault), None while it is being handled."""
    status: int | None
    """The reply's HTTP status; None while there is no reply."""
    fault: str | None
    """The scripted fault that was injected."""
    response_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedResponse:
    """One accepted submission, as it stands now."""

    id: str
    created_at: float
    ends_at: float
    status: Status
    deleted: bool
    cancelled_at: float | None
    background: bool
    model: str
    metadata: Mapping[str, str]
    previous_response_id: str | None

    @property
    def running(self) -> bool:
        return self.status in ("queued", "in_progress") and not self.deleted


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What the simulator has received and done since the last reset."""

    requests: tuple[ReceivedRequest, ...]
    responses: tuple[SimulatedResponse, ...]
    summary: Mapping[str, Any]
    """The counts, as `GET /_control/ledger` returns them."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Account:
        return cls(
            requests=tuple(ReceivedRequest(**row) for row in data["requests"]),
            responses=tuple(SimulatedResponse(**row) for row in data["responses"]),
            summary=data["summary"],
        )

    def submissions(self, **metadata: str) -> tuple[ReceivedRequest, ...]:
        """The create requests received, accepted or not, whose metadata contains these pairs."""
        return tuple(
            request
            for request in self.requests
            if request.route == "create" and _contains(_metadata_of(request.body), metadata)
        )

    def accepted(self, **metadata: str) -> tuple[SimulatedResponse, ...]:
        """The accepted submissions, which a provider would charge for, whose metadata contains these pairs."""
        return tuple(response for response in self.responses if _contains(response.metadata, metadata))

    @property
    def running(self) -> tuple[SimulatedResponse, ...]:
        """The responses that are still queued or in progress."""
        return tuple(response for response in self.responses if response.running)

    def calls(self, route: Route) -> tuple[ReceivedRequest, ...]:
        """The requests to one route: `retrieve` are the polls, `stream` the streams that were resumed."""
        return tuple(request for request in self.requests if request.route == route)


def _metadata_of(body: Any) -> Mapping[str, str]:
    return (body.get("metadata") or {}) if isinstance(body, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # JSON as sent


def _contains(metadata: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())

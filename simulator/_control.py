"""The control routes under `/_control`: the script, the ledger, a reset. They need no API key."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._ledger import Ledger, Record, Row
from ._script import read_rules


class Control:
    """The routes that tests, demos and people use."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def routes(self) -> list[Route]:
        return [
            Route("/_control/script", self.show_script, methods=["GET"]),
            Route("/_control/script", self.add_rules, methods=["POST"]),
            Route("/_control/script", self.clear_script, methods=["DELETE"]),
            Route("/_control/ledger", self.show_ledger, methods=["GET"]),
            Route("/_control/reset", self.reset, methods=["POST"]),
        ]

    async def show_script(self, request: Request) -> Response:
        """The rules, each with `seen`: how many requests have matched."""
        return JSONResponse({"rules": self._ledger.rules()})

    async def add_rules(self, request: Request) -> Response:
        """Append one rule or a list of them."""
        try:
            rules = read_rules(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        self._ledger.add_rules(rules)
        return JSONResponse({"rules": self._ledger.rules()})

    async def clear_script(self, request: Request) -> Response:
        self._ledger.clear_rules()
        return JSONResponse({"rules": []})

    async def show_ledger(self, request: Request) -> Response:
        """Every request, every response with its current status, and the counts."""
        now = self._ledger.clock()
        requests = self._ledger.requests()
        responses = [_response_row(record, now) for record in self._ledger.records()]
        return JSONResponse(
            {"requests": requests, "responses": responses, "summary": _summary(requests, responses)}
        )

    async def reset(self, request: Request) -> Response:
        self._ledger.reset()
        return JSONResponse({})


def _response_row(record: Record, now: float) -> Row:
    return {
        "id": record.plan.response_id,
        "created_at": record.plan.created_at,
        "ends_at": record.plan.ends_at,
        "status": record.status(now),
        "deleted": record.deleted_at is not None,
        "cancelled_at": record.cancelled_at,
        "background": record.submission.background,
        "model": record.submission.model,
        "metadata": record.submission.metadata,
        "previous_response_id": record.submission.previous_response_id,
    }


def _summary(requests: list[Row], responses: list[Row]) -> Row:
    creates = [row for row in requests if row["route"] == "create"]
    by_metadata: dict[str, dict[str, int]] = {}
    for row in responses:
        metadata = row["metadata"]
        for key, value in metadata.items() if isinstance(metadata, dict) else ():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # strings, as read from submissions
            counts = by_metadata.setdefault(str(key), {})  # pyright: ignore[reportUnknownArgumentType]
            counts[str(value)] = counts.get(str(value), 0) + 1  # pyright: ignore[reportUnknownArgumentType]
    return {
        "submissions_received": len(creates),
        "submissions_accepted": sum(row["outcome"] == "accepted" for row in creates),
        "polls": sum(row["route"] == "retrieve" for row in requests),
        "streams": sum(row["route"] == "stream" for row in requests),
        "cancels": sum(row["route"] == "cancel" for row in requests),
        "running": sum(
            row["status"] in ("queued", "in_progress") and not row["deleted"] for row in responses
        ),
        "accepted_by_metadata": by_metadata,
    }

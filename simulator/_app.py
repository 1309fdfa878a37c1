"""The HTTP surface of the Responses API: routes, keys, and how one request is handled.

A request is recorded in the ledger first, then its scripted fault is injected if there is one, then it takes
effect. The control routes live in `_control`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as Path

from ._control import Control
from ._fault_injection import TOO_OLD, Reset, inject
from ._faults import Fault, Stale, StreamCut
from ._items import FunctionCall
from ._keys import check_key
from ._ledger import Exchange, Ledger, Record
from ._plan import make_plan
from ._request import RefusedRequest, Submission, not_found, read_submission
from ._script import Answer, Candidate, Route
from ._streams import frames, read_cursor
from ._wire import error_body, input_item_bodies, response_body

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_NOT_STREAMABLE = (
    "This response cannot be streamed because it was not created with background=true."  # the API's wording
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the simulator behaves unless a script says otherwise."""

    duration: float = 2.0
    """Seconds that a response takes."""
    window: float = 300.0
    """Seconds after creation during which a stream can be resumed."""
    wrong_keys: tuple[str, ...] = ("sk-wrong",)
    """Keys that begin with one of these are refused with 401."""


def make_app(ledger: Ledger, settings: Settings) -> Starlette:
    """The ASGI application. The server must put `_fault_injection.ABORT` into the scope."""
    api, control = Api(ledger, settings), Control(ledger)
    return Starlette(
        routes=[
            Path("/v1/responses", api.exchange("create", api.create), methods=["POST"]),
            Path("/v1/responses/{id}", api.exchange("retrieve", api.retrieve), methods=["GET"]),
            Path("/v1/responses/{id}", api.exchange("delete", api.delete), methods=["DELETE"]),
            Path("/v1/responses/{id}/cancel", api.exchange("cancel", api.cancel), methods=["POST"]),
            Path("/v1/responses/{id}/input_items", api.exchange("input_items", api.input_items)),
            *control.routes(),
        ],
        exception_handlers={404: _unknown_path},
    )


class Api:
    """The routes under `/v1`."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    def exchange(self, route: Route, handler: Callable[[Request, Exchange], Awaitable[Response]]) -> Handler:
        """Wrap a handler: request and outcome go to the ledger, refusals become error replies."""

        async def handle(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it; half a request is not recorded
            streamed = route == "retrieve" and request.query_params.get("stream") == "true"
            exchange = self._ledger.receive(
                route="stream" if streamed else route,
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                body=body,
                idempotency_key=request.headers.get("idempotency-key"),
                request_id="req_" + secrets.token_hex(16),
            )
            exchange.response_id = request.path_params.get("id")
            try:
                check_key(request.headers.get("authorization"), wrong=self._settings.wrong_keys)
                reply = await handler(request, exchange)
            except RefusedRequest as refusal:
                reply = _refusal_reply(refusal)
                exchange.outcome = exchange.outcome or "refused"
            exchange.outcome = exchange.outcome or "answered"
            exchange.status = None if isinstance(reply, Reset) else reply.status_code
            self._ledger.note(exchange)
            reply.headers["x-request-id"] = exchange.request_id
            reply.headers["openai-version"] = "2020-10-01"
            return reply

        return handle

    async def create(self, request: Request, exchange: Exchange) -> Response:
        """`POST /v1/responses`"""
        raw = await request.body()
        submission = read_submission(raw)
        self._check_history(submission)
        candidate = Candidate(
            route="create", model=submission.model, text=submission.text, metadata=submission.metadata
        )
        rule = self._ledger.take_fault(candidate)

        async def effect(_: Fault | None) -> Response:
            self._ledger.check(exchange)
            answer = (rule.answer if rule else None) or self._scripted(candidate)
            record = self._accept(exchange, submission, raw, answer)
            if submission.stream:
                return await self._open_stream(request, exchange, record, after=-1)
            if not submission.background:
                await asyncio.sleep(record.plan.ends_at - self._ledger.clock())
            return self._body(record)

        return await inject(rule.fault if rule else None, exchange, effect)

    async def retrieve(self, request: Request, exchange: Exchange) -> Response:
        """`GET /v1/responses/{id}`, as a body or as a stream."""
        record = self._known(exchange)
        if exchange.route == "stream":
            after = read_cursor(request.query_params.get("starting_after"))
            if after is None:
                raise RefusedRequest(
                    400, "Invalid 'starting_after': expected an integer.", param="starting_after"
                )
            return await self._open_stream(request, exchange, record, after=after)

        async def effect(fault: Fault | None) -> Response:
            if isinstance(fault, Stale):
                return JSONResponse(response_body(record.submission, record.plan, "in_progress"))
            return self._body(record)

        return await inject(self._fault("retrieve", record), exchange, effect)

    async def cancel(self, request: Request, exchange: Exchange) -> Response:
        """`POST /v1/responses/{id}/cancel`; a second one changes nothing."""
        record = self._known(exchange)
        if not record.submission.background:
            raise RefusedRequest(400, "Cannot cancel a synchronous response.")

        async def effect(_: Fault | None) -> Response:
            return self._body(self._ledger.cancel(record))

        return await inject(self._fault("cancel", record), exchange, effect)

    async def delete(self, request: Request, exchange: Exchange) -> Response:
        """`DELETE /v1/responses/{id}`"""
        record = self._known(exchange)

        async def effect(_: Fault | None) -> Response:
            self._ledger.delete(record)
            return JSONResponse({"id": record.plan.response_id, "object": "response", "deleted": True})

        return await inject(self._fault("delete", record), exchange, effect)

    async def input_items(self, request: Request, exchange: Exchange) -> Response:
        """`GET /v1/responses/{id}/input_items`; newest first unless `order=asc`, as the API does."""
        record = self._known(exchange)

        async def effect(_: Fault | None) -> Response:
            items = input_item_bodies(record.submission, record.plan.response_id)
            if request.query_params.get("order") != "asc":
                items.reverse()
            ids = [str(item["id"]) for item in items]
            after = request.query_params.get("after")
            start = ids.index(after) + 1 if after in ids else 0
            limit = request.query_params.get("limit", "20")
            page = items[start : start + (int(limit) if limit.isdigit() else 20)]
            body = {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else "",
                "last_id": page[-1]["id"] if page else "",
                "has_more": start + len(page) < len(items),
            }
            return JSONResponse(body)

        return await inject(self._fault("input_items", record), exchange, effect)

    async def _open_stream(
        self, request: Request, exchange: Exchange, record: Record, *, after: int
    ) -> Response:
        if exchange.route == "stream":
            if not (record.submission.background and record.submission.stream):
                raise RefusedRequest(400, _NOT_STREAMABLE)
            if self._ledger.clock() - record.plan.created_at > self._settings.window:
                raise RefusedRequest(400, TOO_OLD)

        async def effect(fault: Fault | None) -> Response:
            cut = fault if isinstance(fault, StreamCut) else None
            content = frames(self._ledger, record.plan.response_id, request.scope, after=after, cut=cut)
            return StreamingResponse(content, media_type="text/event-stream; charset=utf-8")

        return await inject(self._fault("stream", record), exchange, effect)

    def _accept(self, exchange: Exchange, submission: Submission, raw: bytes, answer: Answer) -> Record:
        plan = make_plan(
            submission,
            answer,
            response_id="resp_" + secrets.token_hex(24),
            created_at=self._ledger.clock(),
            default_duration=self._settings.duration,
            history=self._ledger.history(submission.previous_response_id),
        )
        return self._ledger.accept(exchange, submission, raw, plan)

    def _scripted(self, candidate: Candidate) -> Answer:
        rule = self._ledger.take_answer(candidate)
        return rule.answer if rule is not None and rule.answer is not None else Answer()

    def _fault(self, route: Route, record: Record) -> Fault | None:
        now, submission = self._ledger.clock(), record.submission
        candidate = Candidate(
            route=route,
            model=submission.model,
            text=submission.text,
            metadata=submission.metadata,
            response_id=record.plan.response_id,
            status=record.status(now),
            age=now - record.plan.created_at,
        )
        rule = self._ledger.take_fault(candidate)
        return rule.fault if rule is not None else None

    def _body(self, record: Record) -> Response:
        status = record.status(self._ledger.clock())
        return JSONResponse(response_body(record.submission, record.plan, status))

    def _known(self, exchange: Exchange) -> Record:
        response_id = exchange.response_id or ""
        record = self._ledger.record(response_id)
        if record is None or record.deleted_at is not None or not record.submission.store:
            raise not_found(response_id)
        return record

    def _check_history(self, submission: Submission) -> None:
        """The response that is continued must exist, and its function calls must have been answered."""
        previous_id = submission.previous_response_id
        if previous_id is None:
            return
        previous = self._ledger.record(previous_id)
        if previous is None or previous.deleted_at is not None or not previous.submission.store:
            raise RefusedRequest(
                400,
                f"Previous response with id '{previous_id}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        answered = {item.get("call_id") for item in submission.items}
        for item in previous.plan.items:
            if isinstance(item, FunctionCall) and item.call_id not in answered:
                raise RefusedRequest(
                    400, f"No tool output found for function call {item.call_id}.", param="input"
                )


async def _unknown_path(request: Request, _: Exception) -> Response:
    message = f"Invalid URL ({request.method} {request.url.path}). The API lives under /v1."
    return JSONResponse(error_body(message), status_code=404)


def _refusal_reply(refusal: RefusedRequest) -> Response:
    body = error_body(refusal.message, param=refusal.param, code=refusal.code)
    return JSONResponse(body, status_code=refusal.status)

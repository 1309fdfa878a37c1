"""A synchronous web process: it takes orders and tells how they stand. `worker.py` beside it does the work.

python -m examples.embedding.web 8000
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from uuid import uuid4
from wsgiref.simple_server import WSGIServer, make_server

from perdure import SyncClient
from perdure.errors import DatabaseMissingError, RunFailedError, RunNotFoundError

from examples.embedding import orders
from examples.embedding.briefings import briefing
from examples.embedding.orders import Order

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@cache
def client() -> SyncClient:
    """The client that all threads share. Opened at the first request: servers fork before that."""
    return SyncClient("perdure.db").open()


def take(body: dict[str, str]) -> tuple[HTTPStatus, dict[str, str]]:
    """Store an order. One with a known id is that order."""
    order = Order(body.get("id") or uuid4().hex, body["topic"])
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", order.id):  # what can be the id of a run
        return HTTPStatus.BAD_REQUEST, {"detail": "An id has up to 100 of a-z, 0-9 and -."}
    if orders.place(order) != order:
        return HTTPStatus.CONFLICT, {"detail": f"{order.id} is an order for another topic."}
    return HTTPStatus.CREATED, {"id": order.id}


def show(run_id: str) -> tuple[HTTPStatus, dict[str, str]]:
    """Where the run stands, and how it ended."""
    try:
        run = client().get(run_id, briefing)
    except (RunNotFoundError, DatabaseMissingError):  # no worker has started the run, or ever ran
        if orders.known(run_id):
            return HTTPStatus.OK, {"status": "ordered"}
        return HTTPStatus.NOT_FOUND, {"detail": f"There is no order {run_id}."}
    status = run.status()
    if status not in ("succeeded", "failed"):
        return HTTPStatus.OK, {"status": status}
    try:
        return HTTPStatus.OK, {"status": status, "result": run.result()}
    except RunFailedError as error:
        return HTTPStatus.OK, {"status": status, "error": error.error}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "POST" and path == "/runs":
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, reply = take(json.loads(body))
    elif method == "GET" and path.startswith("/runs/"):
        status, reply = show(path.removeprefix("/runs/"))
    else:
        status, reply = HTTPStatus.NOT_FOUND, {"detail": "POST /runs, GET /runs/ID"}
    start_response(f"{status} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(reply).encode()]


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread per request."""

    daemon_threads = True


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), app, server_class=ThreadedServer) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()

"""A synchronous web process: it takes orders and tells how they stand. `worker.py` beside it does the work.

python -m examples.embedding.web 8000
"""

from __future__ import annotations

import json
import sys
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer, make_server

from perdure import SyncClient
from perdure.errors import InputMismatchError, RunNotFoundError

from examples.embedding.briefings import briefing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


def order(client: SyncClient, body: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Put a run in the queue. One with a known id is that run."""
    try:
        run = client.enqueue(briefing, body["topic"], run_id=body.get("id"))
    except InputMismatchError as error:
        return "409 Conflict", {"detail": str(error)}
    return "201 Created", {"id": run.id}


def show(client: SyncClient, run_id: str) -> tuple[str, dict[str, str]]:
    """Where the run stands, and its result when it has one."""
    try:
        run = client.get(run_id, briefing)
    except RunNotFoundError as error:
        return "404 Not Found", {"detail": str(error)}
    status = run.status()
    return "200 OK", {"status": status, "result": run.result()} if status == "succeeded" else {
        "status": status
    }


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application. A client per request: it is one open of a file, and threads share nothing."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    with SyncClient("perdure.db") as client:
        if method == "POST" and path == "/runs":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status, reply = order(client, json.loads(body))
        elif method == "GET" and path.startswith("/runs/"):
            status, reply = show(client, path.removeprefix("/runs/"))
        else:
            status, reply = "404 Not Found", {"detail": "POST /runs, GET /runs/ID"}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(reply).encode()]


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread per request."""

    daemon_threads = True


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), app, server_class=ThreadedServer) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()

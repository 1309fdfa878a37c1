"""Running the simulator in the foreground: `serve`, which `perdure simulate` and child processes use.

Needs the extra `simulator`. The process can be killed at any instant and started again on the same file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ._app import Settings, make_app
from ._fault_injection import ABORT, abort_transport
from ._keys import SUGGESTED_KEY
from ._ledger import Ledger


class _AbortableProtocol(H11Protocol):
    """HTTP/1.1 with a function in the ASGI scope that lets the application reset the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: Callable[..., Any] = self.app

        async def with_abort(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            scope[ABORT] = lambda: abort_transport(transport)
            with contextlib.suppress(
                asyncio.CancelledError
            ):  # only a shutdown of the server cancels a request
                await app(scope, receive, send)

        self.app = with_abort


class _Server(uvicorn.Server):
    """A server that shuts down without waiting for open replies."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: object) -> None:
        self.should_exit = True
        self.force_exit = True


def serve(
    port: int,
    db: str | Path,
    host: str = "127.0.0.1",
    *,
    duration: float = 2.0,
    window: float = 300.0,
    wrong_keys: tuple[str, ...] = ("sk-wrong",),
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. Port 0 picks a free one.

    `announce` is called with the base URL once connections are accepted; by default the URL is printed
    as lines to export. Raises `OSError` when the port is taken, `sqlite3.Error` when `db` can't be used.
    """
    listener = _listen(host, port)
    ledger = Ledger(db)
    try:
        url = f"http://{host}:{listener.getsockname()[1]}"
        (announce or _print_welcome)(f"{url}/v1")
        config = uvicorn.Config(
            make_app(ledger, Settings(duration=duration, window=window, wrong_keys=wrong_keys)),
            http=_AbortableProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        _Server(config).run(sockets=[listener])
    finally:
        listener.close()
        ledger.close()


def serve_child(port: int, db: str | Path, *, duration: float, window: float) -> None:
    """Serve as a child process: print one line of JSON when ready, exit when stdin is closed."""
    threading.Thread(target=_exit_with_stdin, daemon=True).start()
    serve(port, db, duration=duration, window=window, announce=_print_json)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _print_welcome(base_url: str) -> None:
    print("The simulator of the Responses API is listening. In another terminal:\n")
    print(f"  export OPENAI_BASE_URL={base_url}\n  export OPENAI_API_KEY={SUGGESTED_KEY}\n")
    print(f"Requests received: {base_url.removesuffix('/v1')}/_control/ledger   (Ctrl-C to stop)", flush=True)


def _print_json(base_url: str) -> None:
    sys.stdout.write(json.dumps({"base_url": base_url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def _exit_with_stdin() -> None:
    """Exit when the other end of stdin is closed: by the parent, or because the parent died."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)

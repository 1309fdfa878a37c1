"""What the tests of the example programs share: child processes that run them, and HTTP as a client speaks it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a program that shows nothing is taken for hung, also on a busy machine."""


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: this one's, with the examples and the provider in sight."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **env}


class Program:
    """A Python program in a folder of its own; what it prints is in a file there."""

    def __init__(self, folder: Path, env: Mapping[str, str], *arguments: str, name: str = "program") -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=folder,
                env=environment(env),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if error is not None:
            print(self.log.read_text())

    def printed(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed this."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log.read_text())
            if found is not None:
                return found
            assert not ended, f"ended with {self.process.returncode} before {pattern!r}"
            assert time.monotonic() < deadline, f"no {pattern!r}"
            time.sleep(0.05)

    def port(self) -> int:
        """Wait until it serves, and tell where."""
        return int(self.printed(r"http://127\.0\.0\.1:(\d+)")[1])

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


class Reply(NamedTuple):
    """An HTTP reply with JSON in it."""

    status: int
    headers: Mapping[str, str]
    body: Any


def call(port: int, method: str, path: str, body: object = None) -> Reply:
    """Ask a service, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.getheaders()), json.loads(reply.read()))
    finally:
        connection.close()


def call_until(port: int, path: str, status: str) -> Reply:
    """Ask after a run until it has this status."""
    deadline = time.monotonic() + PATIENCE
    while (reply := call(port, "GET", path)).body["status"] != status:
        assert time.monotonic() < deadline, reply
        time.sleep(0.1)
    return reply


class Message(NamedTuple):
    """A server-sent event."""

    id: str | None
    event: str
    data: Any


class Stream:
    """A stream of server-sent events as a client reads it: what was cut off in the middle does not count."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        fields: dict[str, str] = {}
        while line := self._line():
            if line == "\n":
                if fields:
                    return Message(fields.get("id"), fields["event"], json.loads(fields["data"]))
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        raise StopIteration

    def _line(self) -> str:
        try:
            return self._response.readline().decode()
        except (http.client.HTTPException, ConnectionError):  # the server went away in the middle
            return ""


@contextmanager
def stream(port: int, path: str, *, after: str | None = None) -> Generator[Stream]:
    """Read a stream, from behind the event with that id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        headers = {} if after is None else {"Last-Event-ID": after}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(response)
    finally:
        connection.close()

"""`Nursery`: forks children that have everything imported, so that hundreds can be killed in a minute.

The zygote is one process (`python -m tests.crash.nursery`) that imports the library, opens nothing, and forks a child
for each job. Children are processes of their own: what kills them kills nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from openai import APIConnectionError, AsyncOpenAI

from .child import Job, read_job, run_job
from .desk import Desk
from .pipeline import WORKFLOWS

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a child that does not end counts as hung."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A running process."""

    pid: int
    code: Future[int] = field(default_factory=Future[int])
    """The exit code, minus the signal's number where a signal killed it."""

    def send(self, number: int) -> None:
        """Send a signal; one that has ended takes no notice."""
        if not self.code.done():
            os.kill(self.pid, number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit code. Raises `TimeoutError` when it hangs."""
        return self.code.result(timeout)

    def ended(self, timeout: float) -> bool:
        """Whether it ends within so many seconds."""
        try:
            self.code.result(timeout)
        except TimeoutError:
            return False
        return True


class Nursery:
    """The tests' side."""

    def __init__(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._asking = threading.Lock()
        self._began: list[Future[Child]] = []
        self._children: dict[int, Child] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, job: Job) -> Child:
        """Fork a child for the job."""
        began: Future[Child] = Future()
        if not self._reader.is_alive():
            raise RuntimeError("The zygote has ended; what it said is on stderr.")
        with self._asking:
            self._began.append(began)
            assert self._zygote.stdin is not None
            self._zygote.stdin.write(job.to_json() + "\n")
        return began.result(PATIENCE)

    def close(self) -> None:
        """Kill what is left, and end the zygote."""
        for child in list(self._children.values()):
            child.send(signal.SIGKILL)
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._zygote.stdout.close()

    def _read(self) -> None:
        assert self._zygote.stdout is not None
        for line in self._zygote.stdout:
            message = json.loads(line)
            if "began" in message:
                child = self._children[message["began"]] = Child(pid=message["began"])
                self._began.pop(0).set_result(child)
            else:
                self._children.pop(message["ended"]).code.set_result(message["code"])
        ended = RuntimeError("The zygote has ended; what it said is on stderr.")
        futures: list[Future[Any]] = [*self._began, *(child.code for child in self._children.values())]
        for future in futures:
            future.set_exception(ended)


def fresh(job: Job) -> subprocess.Popen[bytes]:
    """A process of its own interpreter for the job."""
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.child", job.to_json()], cwd=ROOT, stdout=log, stderr=log
        )


def _say(**message: int) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _zygote() -> None:
    """Fork a child per line of stdin, and tell of each that has ended."""
    _warm_up()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _woken)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    rest = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _live(read_job(line.decode()), woken, wake)
                _say(began=pid)


def _warm_up() -> None:
    """Load what is loaded lazily, so that no child has to."""
    for name in ("aiosqlite", "openai.resources.responses", "perdure.checkpoints.sqlite"):
        import_module(name)
    asyncio.run(_ask_nobody())
    with TemporaryDirectory() as folder:
        desk = Desk(client=AsyncOpenAI(api_key="none"), effects=Path(os.devnull), folder=Path(folder))
        for make in WORKFLOWS.values():
            for name in make(desk).plan.node:
                codecs = make(desk).node(name)
                assert codecs.input_codec
                assert codecs.output_codec


async def _ask_nobody() -> None:
    with suppress(APIConnectionError):
        async with AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", max_retries=0) as client:
            await client.responses.with_raw_response.retrieve("resp_1")


def _woken(_number: int, _frame: FrameType | None) -> None:
    """A child has ended; the byte in the wakeup pipe says so to `select`."""


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(ended=pid, code=os.waitstatus_to_exitcode(status))


def _live(job: Job, *inherited: int) -> None:
    """Be the child."""
    code = 1
    try:
        for file in inherited:
            os.close(file)
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        run_job(job)
        code = 0
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  # the process ends here whatever it was, and its log says so
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _zygote()

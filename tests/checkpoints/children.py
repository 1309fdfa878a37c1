"""Real processes for tests: starting `executor_process.py`, giving it orders, ending it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("executor_process.py")


class Child:
    """An executor in a process of its own."""

    def __init__(self, database: Path, options: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_PROGRAM), str(database), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def greeting(self) -> Any:
        """What it says first: "ready", or the error that its store was opened with."""
        return self._line()

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, *order: object) -> None:
        """Give an order without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for an answer."""
        assert self.greeting == "ready"
        return self._line()

    def _line(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the child ended"
        return json.loads(line)

    def ask(self, *order: object) -> Any:
        """Give an order and wait for its answer."""
        self.tell(*order)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Let it close its store and end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0


@contextmanager
def child(database: Path, **options: Any) -> Generator[Child]:
    """An executor that is gone at the end, whatever happens. The options are those of `SQLiteStore`,
    `user`: the id to run as, and `read_only`: it has a view and no store."""
    started = Child(database, options)
    try:
        yield started
    finally:
        for pipe in (started.process.stdin, started.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        if started.process.poll() is None:
            os.kill(started.pid, signal.SIGKILL)
            started.process.wait()

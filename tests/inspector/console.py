"""`Console`: the real console script, in a process of its own, off and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.executable).with_name("perdure")
HERE = Path(__file__).parent
PATIENCE = 60.0
"""Seconds after which a command that does not end counts as hung."""

_OURS = ("PERDURE_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "OPENAI_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it wrote by lines."""
        return self.out.splitlines()

    @property
    def entries(self) -> list[Any]:
        """What it wrote as JSON lines."""
        return [json.loads(line) for line in self.lines]


class Console:
    """Where commands are typed: a folder, an environment."""

    def __init__(self, folder: Path, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self.folder = folder
        self.environment = {**clean, "TERM": "xterm-256color", **environment}

    def run(self, *words: str, env: Mapping[str, str] | None = None, **options: Any) -> Done:
        """Type a command and wait for its end, with stdout and stderr as pipes."""
        done = subprocess.run(
            [SCRIPT, *words],
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def spawn(self, *words: str) -> subprocess.Popen[str]:
        """Type a command and don't wait. The caller ends it."""
        return subprocess.Popen(
            [SCRIPT, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(
        self, *words: str, columns: int = 80, env: Mapping[str, str] | None = None, typed: str = ""
    ) -> Done:
        """Type a command on a terminal of so many columns, and what it asks for; `out` is all that it shows."""
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        environment = {**self.environment, "COLUMNS": str(columns), **(env or {})}
        process = subprocess.Popen(
            [SCRIPT, *words], cwd=self.folder, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        if typed:
            os.write(master, typed.encode())
        shown = b""
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                ready, _, _ = select.select([master], [], [], 0.1)
                if not ready:
                    continue
                try:
                    piece = os.read(master, 65_536)
                except OSError:  # Linux says so when the other end is closed
                    break
                if not piece:
                    break
                shown += piece
            code = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            os.close(master)
        return Done(code=code, out=shown.decode().replace("\r\n", "\n"), err="")


def wait_for(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a spawned command."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    return Done(code=process.returncode, out=out, err=err)

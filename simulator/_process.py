"""The simulator as a child process: started, scripted, inspected, killed and restarted by tests and demos.

The child needs the extra `simulator`; this module does not.
"""

from __future__ import annotations

import http.client
import json
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._account import Account
from ._keys import SUGGESTED_KEY
from ._script import Rule, write_rules

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_START_TIMEOUT = 30.0


class SimulatorError(Exception):
    """The simulator's process did not start, is not running, or refused a script."""


class Simulator:
    """A real process that answers as the Responses API does, on a free port, with a database of its own.

    Use it as a context manager. It ends with the process that started it, however that ends.
    """

    api_key = SUGGESTED_KEY

    def __init__(
        self, db: str | Path | None = None, *, port: int = 0, duration: float = 2.0, window: float = 300.0
    ) -> None:
        """`db` is created when missing (None: in a temporary folder); `duration` and `window` are seconds."""
        self._folder = tempfile.TemporaryDirectory(prefix="perdure-simulator-") if db is None else None
        self.db = Path(db) if db is not None else Path(self._folder.name if self._folder else "") / "sim.db"
        self._port = port
        self._duration = duration
        self._window = window
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The value for `base_url=` or `OPENAI_BASE_URL`. Stays the same across `kill` and `restart`."""
        if not self._port:
            raise SimulatorError(
                "The simulator has not been started: call start() or use it in a with block."
            )
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a program at the simulator."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.api_key}

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> AsyncOpenAI:
        """An `AsyncOpenAI` for this simulator, with these options. The caller closes it."""
        from openai import AsyncOpenAI

        merged: dict[str, Any] = {"base_url": self.base_url, "api_key": self.api_key, **options}
        return AsyncOpenAI(**merged)

    def start(self) -> Simulator:
        """Start the process and wait until it accepts connections. Does nothing when it is running."""
        if self.alive:
            return self
        self.kill()
        command = [sys.executable, "-m", "perdure.simulator", "--db", str(self.db)]
        command += [
            "--port",
            str(self._port),
            "--duration",
            str(self._duration),
            "--window",
            str(self._window),
        ]
        self._process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            self._port = int(self._read_ready()["base_url"].rsplit(":", 1)[1].split("/")[0])
        except BaseException:
            self.kill()
            raise
        return self

    def _read_ready(self) -> dict[str, str]:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _START_TIMEOUT)
        line = process.stdout.readline() if ready else b""
        if not line:
            process.kill()
            raise SimulatorError(
                f"The simulator did not start on {self.db}; its own message is on stderr. Is the extra installed? "
                "pip install 'perdure[simulator]'"
            )
        return json.loads(line)

    def kill(self) -> None:
        """SIGKILL the process, like a crash of the provider. Its responses make progress by the clock all the same."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def restart(self) -> Simulator:
        """Kill the process and start it again on the same port and database."""
        self.kill()
        return self.start()

    def close(self) -> None:
        """End the process, and remove the temporary folder if there is one."""
        self.kill()
        if self._folder is not None:
            self._folder.cleanup()

    def script(self, *rules: Rule) -> None:
        """Append rules to the script. Raises `SimulatorError`, which names the field, when one is invalid."""
        self._control("POST", "/_control/script", write_rules(rules))

    def clear_script(self) -> None:
        """Forget all rules; responses that were accepted keep their plan."""
        self._control("DELETE", "/_control/script")

    def ledger(self) -> Account:
        """Every request received and every response, as of now."""
        return Account.from_json(self._control("GET", "/_control/ledger"))

    def reset(self) -> None:
        """Forget responses, requests and rules."""
        self._control("POST", "/_control/reset")

    def wait_until_idle(self, timeout: float = 30.0) -> Account:
        """Wait until no response is running; raises `SimulatorError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (account := self.ledger()).running:
            if time.monotonic() > deadline:
                names = ", ".join(response.id for response in account.running)
                raise SimulatorError(f"Still running after {timeout:g} s: {names}")
            time.sleep(0.05)
        return account

    def _control(self, method: str, path: str, body: object = None) -> Any:
        if not self.alive:
            raise SimulatorError("The simulator is not running: call start() or restart().")
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            payload = None if body is None else json.dumps(body).encode()
            connection.request(method, path, payload, {"content-type": "application/json"})
            reply = connection.getresponse()
            data: Any = json.loads(reply.read())
        except OSError as error:
            raise SimulatorError(f"The simulator on port {self._port} does not answer: {error}") from error
        finally:
            connection.close()
        if reply.status != 200:
            raise SimulatorError(f"The simulator refused {method} {path}: {data['error']['message']}")
        return data

"""SIGTERM as a graceful stop. Ctrl-C needs nothing: `asyncio.run` cancels the main task on SIGINT."""

from __future__ import annotations

import asyncio
import signal
import threading


class TermSignal:
    """Cancels the task that installed it when SIGTERM comes, and lets the process exit with 143 afterwards.

    Only in the main thread, and only when nobody else handles SIGTERM.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._received = False

    def install(self) -> None:
        """Handle SIGTERM from now on."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            self._loop.add_signal_handler(signal.SIGTERM, self._stop)

    def remove(self) -> None:
        """Handle it no more. Raises `SystemExit(143)` when it has come."""
        if self._loop is None:
            return
        self._loop.remove_signal_handler(signal.SIGTERM)
        self._loop = None
        if self._received:
            if self._task is not None:
                self._task.uncancel()
            raise SystemExit(128 + signal.SIGTERM)

    def _stop(self) -> None:
        if self._task is not None and not self._received:
            self._received = True
            self._task.cancel()

"""Whether an executor is alive: a lock that the kernel drops with its process, and a lease for stuck ones.

Each executor has a file beside the database. It holds an exclusive POSIX record lock on it for as long as its
process lives, so that death is known at once, and writes into it until when (on the monotonic clock, which all
processes of one boot share) it promises to be well, so that a process that is stopped is known after a while.

Two properties of POSIX record locks (fcntl(2)) shape this module: a forked child does not inherit them, and a
process loses its lock when it closes *any* descriptor of the file. Hence the table of our own leases: a file
that is ours is never opened a second time.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from enum import Enum
from functools import cache
from pathlib import Path

_ours: dict[tuple[int, str], Lease] = {}
"""The leases of this process by (process, path). The process is in the key because a forked child gets a copy of
this table, but none of the locks."""


class Lease:
    """One executor's lock file, held and renewed until `release` or the end of the process.

    `seconds` is how long it promises at each renewal; it renews three times as often, on a thread of its own,
    so that an event loop that is busy loses nothing. Raises `OSError` when the file can't be made.
    """

    def __init__(self, path: str, *, seconds: float, mode: int = 0o600) -> None:
        self.path = path
        self._seconds = seconds
        self._key = (os.getpid(), path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if mode != 0o600:
                os.fchmod(self._file, mode)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._renew()
        except BaseException:
            os.unlink(path)
            os.close(self._file)
            raise
        _ours[self._key] = self
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="perdure-lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Stop renewing, remove the file, drop the lock. In a forked child: nothing, it is the parent's."""
        if self._key[0] != os.getpid() or self._key not in _ours:
            return
        self._stop.set()
        self._thread.join()
        del _ours[self._key]
        Path(self.path).unlink(missing_ok=True)
        os.close(self._file)

    @property
    def runs_out(self) -> float:
        """Until when it is promised, on the monotonic clock."""
        return self._runs_out

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                self._renew()
            except OSError:
                # Then the lease is not renewed, and others see that. The next round tries again.
                continue

    def _renew(self) -> None:
        runs_out = time.monotonic() + self._seconds
        os.pwrite(self._file, f"{runs_out:020.6f}\n".encode(), 0)
        self._runs_out = runs_out


class Health(Enum):
    """How an executor is, judged by its lock file."""

    WELL = "well"
    STUCK = "stuck"
    """Its process lives, but its lease ran out. Its runs may be taken, it must itself stay registered."""
    DEAD = "dead"


def health(path: str) -> Health:
    """How the executor with this lock file is."""
    ours = _ours.get((os.getpid(), path))
    if ours is not None:
        return _judge(ours.runs_out)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Health.DEAD
    except PermissionError:
        return Health.WELL  # another user's, and nothing says that it is not
    try:
        try:
            # Shared, so that several processes that ask at once do not take each other for the owner.
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return _judge(_runs_out(file))
        return Health.DEAD
    finally:
        os.close(file)


def _judge(runs_out: float) -> Health:
    return Health.WELL if runs_out > time.monotonic() else Health.STUCK


def _runs_out(file: int) -> float:
    try:
        return float(os.pread(file, 32, 0))
    except ValueError:  # not written yet
        return float("inf")


@cache
def boot_id() -> str:
    """Names this boot of the machine, empty where the system has no name for it. Locks don't outlive a boot."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()
    return ""

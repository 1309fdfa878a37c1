"""Exit codes. Part of the command line's contract."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    """What was named is not there: the database or the run."""
    FAILED = 4
    """The run that was driven failed."""
    WAITS = 5
    """The run that was driven waits: for a person or, with `--once`, for a provider."""
    CANCELLED = 6
    """The run that was driven was cancelled."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """SIGTERM."""

"""`perdure simulate`: the simulator of the Responses API in the foreground."""

from __future__ import annotations

import sqlite3

from ...checkpoints.errors import (
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    PerdureError,
    StoreError,
)
from ...checkpoints.sqlite import SQLiteView
from ..exits import Exit

EXTRA = ("starlette", "uvicorn")


class SimulatorUnavailableError(PerdureError):
    """The simulator can't be started here; the message says what is missing or taken."""


def simulate(*, port: int, db: str, duration: float) -> Exit:
    """Serve until Ctrl-C or SIGTERM. Raises `SimulatorUnavailableError`."""
    try:
        from ...simulator import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in EXTRA:
            raise
        raise SimulatorUnavailableError(
            f"The simulator needs {error.name}, which is not installed: pip install 'perdure[simulator]'"
        ) from error
    _refuse_checkpoints(db)
    try:
        serve(port, db, duration=duration)
    except OSError as error:
        raise SimulatorUnavailableError(
            f"The simulator can't listen on port {port}: {error.strerror}. Name another one with --port; 0 takes a "
            "free one."
        ) from error
    except sqlite3.Error as error:
        raise SimulatorUnavailableError(
            f"{db}: the simulator can't use this file: {error}. Name another one with --db."
        ) from error
    return Exit.OK


def _refuse_checkpoints(db: str) -> None:
    """Raise `SimulatorUnavailableError` if the file holds checkpoints: the simulator's tables don't belong there."""
    try:
        SQLiteView.open(db).close()
    except (DatabaseMissingError, DatabaseCorruptError, DatabaseReadOnlyError, DatabaseLockedError):
        return  # none of ours; `serve` says what is wrong with it, if anything is
    except StoreError:
        pass  # one of another version
    raise SimulatorUnavailableError(
        f"{db}: this is a database of checkpoints. The simulator needs a file of its own: name one with --db."
    )

"""Reading what is stored of many runs in one call, so that a run whose rows can't be read stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ...checkpoints.errors import DatabaseCorruptError, StoreError
from ...checkpoints.view import View
from ._shared import OwnedRun

T = TypeVar("T")


async def read_runs(
    runs: Sequence[OwnedRun], read: Callable[[View, Sequence[int]], T]
) -> tuple[list[T], dict[int, Exception]]:
    """What `read` gives for the keys of these runs, and the errors of those that can't be read, by key.

    All of them are read in one call. Only where that fails they are read in parts, down to the run that is damaged.
    """
    if not runs:
        return [], {}
    keys = [owned.run for owned in runs]
    try:
        return [await runs[0].shared.store.read(lambda view: read(view, keys))], {}
    except Exception as error:  # noqa: BLE001  # the boundary of each run: it gets the error
        if isinstance(error, StoreError) and not isinstance(error, DatabaseCorruptError):
            return [], dict.fromkeys(keys, error)  # nothing can be read now
        if len(runs) == 1:
            return [], {keys[0]: unreadable(runs[0].run_id, error)}
    middle = len(runs) // 2
    found, errors = await read_runs(runs[:middle], read)
    others, more = await read_runs(runs[middle:], read)
    return [*found, *others], {**errors, **more}


def unreadable(run_id: str, error: Exception) -> StoreError:
    """What is told of a run whose rows make no sense."""
    if isinstance(error, StoreError):
        return error
    told = DatabaseCorruptError(
        f"Run {run_id}: what is stored of it can't be read ({type(error).__name__}: {error}). `perdure db check` says "
        "what is damaged."
    )
    told.__cause__ = error
    return told

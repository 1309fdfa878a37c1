"""What those who wait for a run are told when it is not driven on here: the run, the place, and how to go on."""

from __future__ import annotations

from ...checkpoints.errors import StaleFenceError
from ..errors import DrivingInterruptedError, ExecutorStoppedError, HandleNotCommittedError
from ..failures import said


def taken_over(run_id: str) -> StaleFenceError:
    """Somebody else drives the run now."""
    return StaleFenceError(
        f"Run {run_id} was taken over by another executor, which drives it on: follow it with "
        f"`perdure events {run_id} -f`."
    )


def not_driven(error: BaseException, run_id: str, place: object = None) -> BaseException:
    """The error that stopped the driving, of the same type, with the run, the place and the way to go on in its message.

    The error itself is the cause of the new one. One whose type has a text of its own (`KeyError`, `OSError`) stays
    itself and gets a note; one that takes none is the cause of a `DrivingInterruptedError`.
    """
    if isinstance(
        error, StaleFenceError | ExecutorStoppedError | HandleNotCommittedError
    ):  # they say all of it
        return error
    go_on = (
        f"It stays as it was committed; when the cause is gone, go on with executor.resume({run_id!r}) or "
        f"`perdure resume {run_id}`."
    )
    text = said(error)
    if go_on in text:
        return error
    at = "" if place is None else f"{place}: "
    begin = (
        ""
        if text.startswith((f"Run {run_id} ", f"Run {run_id}:"))
        else f"Run {run_id} is not driven on here: {at}"
    )
    end = "" if text[-1:] in ("", ".", "!", "?") else "."
    renewed = _renewed(error, f"{begin}{text}{end} {go_on}")
    if renewed is not None:
        return renewed
    note = f"{begin.removesuffix(': ')}. {go_on}"
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception:  # noqa: BLE001  # of somebody's class; one that takes no note can't be raised everywhere either
        told = DrivingInterruptedError(f"{begin}{type(error).__name__}: {text}{end} {go_on}")
        told.__cause__ = error
        return told
    return error


def _renewed(error: BaseException, message: str) -> BaseException | None:
    """The same with another message, None where the type makes its text of something else."""
    kind = type(error)
    if kind.__str__ is not BaseException.__str__:
        return None
    try:
        renewed = kind.__new__(kind, message)  # without its __init__, which may want something else
        renewed.__dict__.update(error.__dict__)
        renewed.__cause__ = error
    except Exception:  # noqa: BLE001  # of somebody's class, which makes its objects as it likes
        return None
    return renewed

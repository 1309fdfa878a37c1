"""The garbage collector's threshold while executors are at work.

A burst of runs makes many objects that live for a while. With Python's default threshold the collector goes over all of
them again and again: at 5,000 concurrent runs that took a third of the event loop's time. The threshold is the
process's, so it is raised while an executor is entered and given back when the last one is left.
"""

from __future__ import annotations

import gc

_raised: list[tuple[int, int, int]] = []


def raise_threshold(threshold: int) -> None:
    """Collect only after so many more objects, if that is less often than now."""
    before = gc.get_threshold()
    _raised.append(before)
    if 0 < before[0] < threshold:
        gc.set_threshold(threshold, *before[1:])


def restore_threshold() -> None:
    """Undo one `raise_threshold`; the last one gives the process its own threshold back."""
    before = _raised.pop()
    if not _raised:
        gc.set_threshold(*before)

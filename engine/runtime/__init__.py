"""The asyncio driver of runs: it commits what the core decides and performs its commands.

- `_driver`: one run that is moving in this process; `_runtime`: the runs of one executor.
- `performers`: one file per kind of command; each does the IO of its command and gives back what came of it.
- `_wake_queue`, `_values`, `_driver_cache`: what they share.

Nothing here decides what an event means: that is the core's. What the executor uses of it is imported below; it is the
one that loads this package.
"""

from ._admission import require_granted, require_same_input, require_same_workflow, why_not, workflow_of
from ._claims import Claims
from ._driver import Driver
from ._garbage import raise_threshold, restore_threshold
from ._runtime import Runtime
from ._shared import ends_the_task
from ._signal_watch import SignalWatch
from ._term_signal import TermSignal

__all__ = [
    "Claims",
    "Driver",
    "Runtime",
    "SignalWatch",
    "TermSignal",
    "ends_the_task",
    "raise_threshold",
    "require_granted",
    "require_same_input",
    "require_same_workflow",
    "restore_threshold",
    "why_not",
    "workflow_of",
]

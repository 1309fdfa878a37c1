"""`perdure.testing`: try workflows out in tests, without a network, without a key, without waiting.

- `run`, `run_sync`: a run in memory, with answers given in place of the agents'.
- `Clock`: a clock that stands until the test moves it.
- `kill_everywhere`: kills a process at every commit of a run, resumes the run, and compares.
- `simulator`: a pytest fixture, the provider as a process of its own.

Submodules are imported lazily: the fixture alone needs pytest, and the extra `simulator` to run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.simulator.fixture import simulator

    from ._in_memory import run, run_sync
    from .clock import Clock
    from .errors import FakeError, RunStuckError
    from .finished_run import FinishedRun
    from .kills import kill_everywhere
    from .report import KillReport
else:
    _MODULES = {
        "Clock": ".clock",
        "FakeError": ".errors",
        "FinishedRun": ".finished_run",
        "KillReport": ".report",
        "RunStuckError": ".errors",
        "kill_everywhere": ".kills",
        "run": "._in_memory",
        "run_sync": "._in_memory",
        "simulator": "..simulator.fixture",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_MODULES[name], __name__), name)


__all__ = [
    "Clock",
    "FakeError",
    "FinishedRun",
    "KillReport",
    "RunStuckError",
    "kill_everywhere",
    "run",
    "run_sync",
    "simulator",
]

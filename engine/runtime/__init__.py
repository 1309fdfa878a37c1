"""The asyncio driver of runs: it commits what the core decides and performs its commands.

- `_driver`: one run that is moving in this process; `_runtime`: the runs of one executor.
- `performers`: one file per kind of command; each does the IO of its command and gives back what came of it.
- `_wake_queue`, `_waiters`, `_values`, `_driver_cache`: what they share.

Nothing here decides what an event means: that is the core's.
"""

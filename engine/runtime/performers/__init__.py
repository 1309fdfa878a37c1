"""The performers: one file per kind of command. `TABLE` says which is whose.

A performer is given a run that this executor owns, a command, and a way to commit. It does the IO, commits what it finds
out on its way, and returns the last `Change`, or None where nothing came of it (yet). It knows neither the driver nor
other performers and decides nothing: what a reply means is in `core.replies`. What it raises stops the driving of that
run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from ...core import commands
from ...core.book import Change
from .._shared import Commit, OwnedRun
from . import _call, _cancel, _decode, _edges, _find, _poll, _resubmit, _submission
from ._poll import ask

Performer: TypeAlias = Callable[[OwnedRun, Any, Commit], Awaitable[Change | None]]

TABLE: Final[Mapping[type[Any], Performer]] = {
    commands.Call: _call.perform,
    commands.CancelCall: _cancel.call,
    commands.CancelRemote: _cancel.remote,
    commands.CancelStray: _cancel.stray,
    commands.Decode: _decode.perform,
    commands.EvaluateEdges: _edges.perform,
    commands.Fetch: _poll.fetch,
    commands.Find: _find.perform,
    commands.Poll: _poll.perform,
    commands.Resubmit: _resubmit.perform,
    commands.Submit: _submission.perform,
}
"""Commands that take IO. `Wake`, `Hold` and `Finish` take none: the driver acts on them at once."""

__all__ = ["TABLE", "Performer", "ask"]

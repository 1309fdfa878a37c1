"""The performers: one file per kind of command. `TABLE` says which is whose.

A performer is given a run that this executor owns and a command, does the IO, and returns what it found out as a
`Change`, or None where nothing came of it (yet). It knows neither the driver nor other performers. What it raises stops
the driving of that run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from ...core import commands
from ...core.book import Change
from .._shared import OwnedRun
from . import _call, _cancel, _decode, _edges, _find, _poll, _resubmit, _submit

Performer: TypeAlias = Callable[[OwnedRun, Any], Awaitable[Change | None]]

TABLE: Final[Mapping[type[Any], Performer]] = {
    commands.Call: _call.perform,
    commands.CancelCall: _cancel.call,
    commands.CancelRemote: _cancel.remote,
    commands.CancelStray: _cancel.stray,
    commands.Decode: _decode.perform,
    commands.EvaluateEdges: _edges.perform,
    commands.Fetch: _poll.fetch,
    commands.Find: _find.perform,
    commands.Poll: _poll.poll,
    commands.Resubmit: _resubmit.perform,
    commands.Submit: _submit.perform,
}
"""Commands that take IO. `Wake`, `Hold` and `Finish` take none: the driver acts on them at once."""

"""The one error of the core."""

from __future__ import annotations

from ...checkpoints.errors import PerdureError


class IllegalEventError(PerdureError):
    """An event can't happen in the state that the run is in: a driver's mistake, or an event that came too late."""

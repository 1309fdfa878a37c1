"""What an event that can't happen leaves behind: nothing."""

from __future__ import annotations

import pytest
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.core.events import CoreEvent

from .play import Play


def refused(play: Play, event: CoreEvent) -> None:
    """The event is refused, and the run is as it was."""
    before, written = play.snapshot(), len(play.journal)
    with pytest.raises(IllegalEventError):
        play.apply(event)
    assert play.state == before
    assert len(play.journal) == written

"""What can be wrong with a test, as opposed to the workflow that it tests."""

from __future__ import annotations

from perdure.checkpoints.errors import PerdureError


class FakeError(PerdureError):
    """A fake is missing, names no agent of the workflow, or answers with a value that the node can't give."""


class RunStuckError(PerdureError):
    """The run waits for something that no clock brings, such as a person's decision."""

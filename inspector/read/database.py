"""Opening the database to read it. Never makes a file, never brings a schema up to date."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ...checkpoints.sqlite import SQLiteView
from ...checkpoints.view import View
from ..settings import Settings


def open_view(settings: Settings) -> SQLiteView:
    """The database that the settings name. Raises as `SQLiteView.open` does."""
    return SQLiteView.open(settings.db)


@contextmanager
def reading(settings: Settings) -> Generator[View]:
    """A view of that database within one read transaction: all that is read inside is of one moment."""
    with open_view(settings) as view, view.snapshot():
        yield view


def find_run(settings: Settings, name: str) -> str:
    """The id of the run with this id, prefix or `@latest`. Verbs that write ask here first, for it makes nothing."""
    with reading(settings) as view:
        return view.find(name).id

"""The base of every error that Perdure raises, and the errors of stores and stored values.

Errors of nodes live in `nodes.errors`, errors of graphs and runs in `engine.errors`. Each message names what
it happened to (database, run, node) and what to do next.
"""

from __future__ import annotations


class PerdureError(Exception):
    """Base of all errors of this library; catching it catches nothing that is not ours."""


class StoreError(PerdureError):
    """The database could not do what was asked. Nothing of the refused transition was written."""


class DatabaseMissingError(StoreError):
    """There is no database at that path. Readers never create one."""


class DatabaseLockedError(StoreError):
    """Another process held the write lock for longer than the busy timeout (seconds)."""


class DatabaseReadOnlyError(StoreError):
    """The file or its folder can't be written by this user."""


class DatabaseCorruptError(StoreError):
    """The file is no SQLite database, no Perdure database, or its pages are damaged."""


class SchemaTooNewError(StoreError):
    """The database was written by a newer Perdure."""


class RunNotFoundError(StoreError):
    """No run has that id or prefix."""


class AmbiguousRunError(StoreError):
    """Several runs begin with that prefix; `candidates` holds their full ids."""

    def __init__(self, message: str, candidates: tuple[str, ...]) -> None:
        super().__init__(message)
        self.candidates = candidates


class RunExistsError(StoreError):
    """A run with that id is already there."""


class RunNotDeletableError(StoreError):
    """The run is under way, or something of it is still to be cancelled at a provider. Nothing was deleted."""


class StaleFenceError(StoreError):
    """The run was taken over by another executor: this one may not write to it any more."""


class TypeNotStorableError(PerdureError, TypeError):
    """Values of that type can't be held by a checkpoint; the message names the place inside of the type."""


class ValueNotStorableError(PerdureError, TypeError):
    """The value holds something that a checkpoint can't hold; `path` leads to it, e.g. `$.items[3].owner`."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class ValueUnreadableError(PerdureError, ValueError):
    """Stored bytes do not decode as the type that produced them; `path` leads to the place."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

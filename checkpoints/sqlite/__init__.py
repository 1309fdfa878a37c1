"""The store and the view in one SQLite file: `SQLiteStore` writes, `SQLiteView` reads.

`_database` opens the file, `_connection` is the store's thread, `_committer` gathers transitions and `_writer`
writes them, `_view` reads, `_ownership` says who drives a run. Both names are imported lazily: a command that
only reads needs no asyncio.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._store import SQLiteStore
    from ._view import SQLiteView
else:

    def __getattr__(name):
        if name == "SQLiteStore":
            from ._store import SQLiteStore

            return SQLiteStore
        if name == "SQLiteView":
            from ._view import SQLiteView

            return SQLiteView
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["SQLiteStore", "SQLiteView"]

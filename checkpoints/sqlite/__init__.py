"""The store and the view in one SQLite file: `SQLiteStore` writes, `SQLiteView` reads.

`_database` opens the file, `_connection` is the store's thread, `_committer` gathers transitions and `_writer`
writes them, `_view` reads, `_ownership` says who drives a run. `Database` and `DatabaseStore` are what a store on
another SQLite database is made of. All names are imported lazily: a command that only reads needs no asyncio.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._database import Database
    from ._store import DatabaseStore, SQLiteStore
    from ._view import SQLiteView
else:
    _MODULES = {
        "Database": "_database",
        "DatabaseStore": "_store",
        "SQLiteStore": "_store",
        "SQLiteView": "_view",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = ["Database", "DatabaseStore", "SQLiteStore", "SQLiteView"]

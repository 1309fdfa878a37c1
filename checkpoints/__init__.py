"""Checkpoints: records, the codec of stored values, and the stores that hold them. Imports nothing of ours.

The stores are loaded when they are first asked for: asyncio and sqlite3 would be half of a short command's time.
"""

from typing import TYPE_CHECKING

from .codec import Codec, codec_for, join, pack, split, unpack
from .errors import (
    AmbiguousRunError,
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    PerdureError,
    RunExistsError,
    RunNotFoundError,
    SchemaTooNewError,
    StaleFenceError,
    StoreError,
    TypeNotStorableError,
    ValueNotStorableError,
    ValueUnreadableError,
)
from .records import (
    ActivationChange,
    ActivationColumns,
    ActivationKey,
    ActivationRecord,
    ActivationState,
    EventRecord,
    Message,
    NewRun,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Transition,
    Value,
)
from .store import Claim, Loaded, Store, StoreFactory

if TYPE_CHECKING:
    from .conformance import STORE_CHECKS, StoreCheck, check_store
    from .maintenance import DatabaseInfo
    from .memory import MemoryStore
    from .sqlite import SQLiteStore
else:
    _ROOMS = {
        "DatabaseInfo": "maintenance",
        "MemoryStore": "memory",
        "SQLiteStore": "sqlite",
        "STORE_CHECKS": "conformance",
        "StoreCheck": "conformance",
        "check_store": "conformance",
    }

    def __getattr__(name):
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_ROOMS[name]}", __name__), name)


__all__ = [
    "STORE_CHECKS",
    "ActivationChange",
    "ActivationColumns",
    "ActivationKey",
    "ActivationRecord",
    "ActivationState",
    "AmbiguousRunError",
    "Claim",
    "Codec",
    "DatabaseCorruptError",
    "DatabaseInfo",
    "DatabaseLockedError",
    "DatabaseMissingError",
    "DatabaseReadOnlyError",
    "EventRecord",
    "Loaded",
    "MemoryStore",
    "Message",
    "NewRun",
    "PerdureError",
    "PlanRecord",
    "RunExistsError",
    "RunNotFoundError",
    "RunRecord",
    "RunStatus",
    "SQLiteStore",
    "SchemaTooNewError",
    "ScopeRecord",
    "StaleFenceError",
    "Store",
    "StoreCheck",
    "StoreError",
    "StoreFactory",
    "Transition",
    "TypeNotStorableError",
    "Value",
    "ValueNotStorableError",
    "ValueUnreadableError",
    "check_store",
    "codec_for",
    "join",
    "pack",
    "split",
    "unpack",
]

"""Checkpoints: records, the codec of stored values, the stores that hold them and the views that read them.

Imports nothing of ours. All names are imported lazily: the records need the standard library alone, and asyncio
and sqlite3 would be half of a short command's time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .codec import Codec, codec_for, join, pack, split, unpack
    from .conformance import STORE_CHECKS, StoreCheck, StoreFactory, check_store
    from .errors import (
        AmbiguousRunError,
        DatabaseCorruptError,
        DatabaseLockedError,
        DatabaseMissingError,
        DatabaseReadOnlyError,
        PerdureError,
        RunExistsError,
        RunNotDeletableError,
        RunNotFoundError,
        SchemaTooNewError,
        StaleFenceError,
        StoreError,
        TypeNotStorableError,
        ValueNotStorableError,
        ValueUnreadableError,
    )
    from .memory import MemoryStore
    from .records import (
        ActivationColumns,
        ActivationKey,
        ActivationRecord,
        ClaimEnd,
        ClaimRecord,
        EventRecord,
        Fate,
        Loaded,
        NewRun,
        OperationColumns,
        OperationKey,
        OperationRecord,
        OutcomeRef,
        PlanRecord,
        RequestRef,
        RunRecord,
        RunStatus,
        ScopeRecord,
        Signal,
        Source,
        State,
        SubmissionColumns,
        SubmissionKey,
        SubmissionRecord,
        Transition,
        Value,
        ValueRef,
    )
    from .sqlite import SQLiteStore, SQLiteView
    from .store import Claim, Store
    from .view import DatabaseInfo, View
else:
    _NAMES = {
        "codec": "Codec codec_for join pack split unpack",
        "conformance": "STORE_CHECKS StoreCheck StoreFactory check_store",
        "errors": (
            "AmbiguousRunError DatabaseCorruptError DatabaseLockedError DatabaseMissingError "
            "DatabaseReadOnlyError PerdureError RunExistsError RunNotDeletableError RunNotFoundError "
            "SchemaTooNewError StaleFenceError StoreError TypeNotStorableError ValueNotStorableError ValueUnreadableError"
        ),
        "memory": "MemoryStore",
        "records": (
            "ActivationColumns ActivationKey ActivationRecord ClaimEnd ClaimRecord EventRecord "
            "Fate Loaded NewRun OperationColumns OperationKey OperationRecord OutcomeRef PlanRecord "
            "RequestRef RunRecord RunStatus ScopeRecord Signal Source State SubmissionColumns "
            "SubmissionKey SubmissionRecord Transition Value ValueRef"
        ),
        "sqlite": "SQLiteStore SQLiteView",
        "store": "Claim Store",
        "view": "DatabaseInfo View",
    }
    _MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value


__all__ = [
    "STORE_CHECKS",
    "ActivationColumns",
    "ActivationKey",
    "ActivationRecord",
    "AmbiguousRunError",
    "Claim",
    "ClaimEnd",
    "ClaimRecord",
    "Codec",
    "DatabaseCorruptError",
    "DatabaseInfo",
    "DatabaseLockedError",
    "DatabaseMissingError",
    "DatabaseReadOnlyError",
    "EventRecord",
    "Fate",
    "Loaded",
    "MemoryStore",
    "NewRun",
    "OperationColumns",
    "OperationKey",
    "OperationRecord",
    "OutcomeRef",
    "PerdureError",
    "PlanRecord",
    "RequestRef",
    "RunExistsError",
    "RunNotDeletableError",
    "RunNotFoundError",
    "RunRecord",
    "RunStatus",
    "SQLiteStore",
    "SQLiteView",
    "SchemaTooNewError",
    "ScopeRecord",
    "Signal",
    "Source",
    "StaleFenceError",
    "State",
    "Store",
    "StoreCheck",
    "StoreError",
    "StoreFactory",
    "SubmissionColumns",
    "SubmissionKey",
    "SubmissionRecord",
    "Transition",
    "TypeNotStorableError",
    "Value",
    "ValueNotStorableError",
    "ValueRef",
    "ValueUnreadableError",
    "View",
    "check_store",
    "codec_for",
    "join",
    "pack",
    "split",
    "unpack",
]

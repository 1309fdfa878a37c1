"""Checkpoints: records, the codec of stored values, and the stores that hold them. Imports nothing of ours."""

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
from .store import Claim, Store, StoreFactory

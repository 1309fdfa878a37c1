"""What every adapter of a long-running operation must do, as test classes for pytest, and small operations that do it.

Take `OperationChecks` and the class of each capability that the adapter has, and give a fixture `subject`:

    class TestMyBatches(OperationChecks, CancellableChecks):
        @pytest.fixture
        def subject(self, tmp_path):
            provider = FakeBatches(tmp_path)
            return Subject(
                process=lambda: nullcontext(MyBatches(provider.url)),
                request={"input": "..."},
                long_request={"input": "...", "hours": 8},
                accepted=provider.count_of_key,
            )

The checks walk an operation from its intent to its end with a small driver that keeps nothing but packed plain data,
and kill it at every instant. A check fails when the adapter has a capability whose class is missing. `Subject` tells
what the checks need; `ManualClock` spares them the waiting.

`SMALL_OPERATIONS` are operations of the kit's own, one for each capability, on a `Ledger`: a provider in a folder that
survives the process and counts. They are made from the folder alone, so that they serve tests that kill processes.

All names are imported lazily: the operations do without pytest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .capability_checks import (
        AdoptableChecks,
        CancellableChecks,
        ConversationalChecks,
        FindableChecks,
        IdempotentChecks,
        LocalChecks,
        OnceChecks,
        PacedChecks,
        PerContextChecks,
        ReceivingChecks,
        StreamableChecks,
    )
    from .checks import OperationChecks
    from .ledger import Entry, Ledger
    from .small_operations import (
        SMALL_OPERATIONS,
        CancellableOperation,
        ConversationalOperation,
        FindableOperation,
        IdempotentOperation,
        OnceOperation,
        PlainOperation,
        ReceivingOperation,
        StreamableOperation,
    )
    from .subject import ManualClock, Subject
else:
    _MODULES = {
        "AdoptableChecks": "capability_checks",
        "CancellableChecks": "capability_checks",
        "CancellableOperation": "small_operations",
        "ConversationalChecks": "capability_checks",
        "ConversationalOperation": "small_operations",
        "Entry": "ledger",
        "FindableChecks": "capability_checks",
        "FindableOperation": "small_operations",
        "IdempotentChecks": "capability_checks",
        "IdempotentOperation": "small_operations",
        "Ledger": "ledger",
        "LocalChecks": "capability_checks",
        "ManualClock": "subject",
        "OnceChecks": "capability_checks",
        "OnceOperation": "small_operations",
        "OperationChecks": "checks",
        "PacedChecks": "capability_checks",
        "PerContextChecks": "capability_checks",
        "PlainOperation": "small_operations",
        "ReceivingChecks": "capability_checks",
        "ReceivingOperation": "small_operations",
        "SMALL_OPERATIONS": "small_operations",
        "StreamableChecks": "capability_checks",
        "StreamableOperation": "small_operations",
        "Subject": "subject",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = [
    "SMALL_OPERATIONS",
    "AdoptableChecks",
    "CancellableChecks",
    "CancellableOperation",
    "ConversationalChecks",
    "ConversationalOperation",
    "Entry",
    "FindableChecks",
    "FindableOperation",
    "IdempotentChecks",
    "IdempotentOperation",
    "Ledger",
    "LocalChecks",
    "ManualClock",
    "OnceChecks",
    "OnceOperation",
    "OperationChecks",
    "PacedChecks",
    "PerContextChecks",
    "PlainOperation",
    "ReceivingChecks",
    "ReceivingOperation",
    "StreamableChecks",
    "StreamableOperation",
    "Subject",
]

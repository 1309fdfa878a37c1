"""Long-running operations: the protocol that the engine drives them by, and the adapters that the library brings.

- `tokens`: `ContinuationToken`, what we hold of an operation.
- `outcomes`: what a provider can say of it.
- `protocol`: `Operation`, what every adapter can do; `capabilities`: what only some can.
- `openai`: background responses; `timers`: waiting for a time. Both are imported lazily.
"""

from typing import TYPE_CHECKING

from ._providers import operation_for
from .capabilities import (
    Absent,
    Adoptable,
    CallResult,
    Cancellable,
    Conversational,
    Fetched,
    Findable,
    Finding,
    Finished,
    Found,
    Idempotent,
    Local,
    Once,
    Paced,
    PerContext,
    Received,
    Receiving,
    Streamable,
    StreamPiece,
    Timed,
    Unavailable,
    has_capability,
)
from .outcomes import (
    Asks,
    Call,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Outcome,
    Running,
    Succeeded,
    Usage,
)
from .protocol import Operation
from .tokens import ContinuationToken, Json

if TYPE_CHECKING:
    from .openai import ResponsesOperation
    from .timers import TimerOperation
else:

    def __getattr__(name):
        match name:
            case "ResponsesOperation":
                from .openai import ResponsesOperation

                return ResponsesOperation
            case "TimerOperation":
                from .timers import TimerOperation

                return TimerOperation
            case _:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Absent",
    "Adoptable",
    "Asks",
    "Call",
    "CallResult",
    "Calls",
    "Cancellable",
    "Cancelled",
    "ContinuationToken",
    "Conversational",
    "Expired",
    "Failed",
    "Fetched",
    "Findable",
    "Finding",
    "Finished",
    "Found",
    "Idempotent",
    "Incomplete",
    "Json",
    "Local",
    "Once",
    "Operation",
    "Outcome",
    "Paced",
    "PerContext",
    "Received",
    "Receiving",
    "ResponsesOperation",
    "Running",
    "StreamPiece",
    "Streamable",
    "Succeeded",
    "Timed",
    "TimerOperation",
    "Unavailable",
    "Usage",
    "has_capability",
    "operation_for",
]

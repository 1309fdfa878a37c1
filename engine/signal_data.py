"""What signals carry beside the activation that they are for: a person's decision, or a handle that came late.

Plain data, which one process writes and another reads. It says which operation of the activation is meant, so that a
signal that is old by then means no later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .core.addresses import Address, OperationAddress

_COUNTS = 2**31
"""More attempts, operations or submissions than there can be of one activation."""


def fate_data(operation: OperationAddress, reply: str) -> dict[str, object]:
    """A person's decision of the operation's unknown fate: `resubmit`, `fail`, or the provider's handle to adopt."""
    return {"operation": list(operation[1:]), "reply": reply}


def read_fate(address: Address, data: object) -> tuple[OperationAddress, str]:
    """Which operation was decided on, and how. Raises `ValueError` for something else."""
    match cast("dict[str, Any] | None", data):
        case {"operation": place, "reply": str() as reply}:
            return _operation(address, place), reply
        case _:
            raise ValueError(f"this decides no fate of {address}: {data!r}")


def handle_data(
    operation: OperationAddress, submission: int, token: Mapping[str, object]
) -> dict[str, object]:
    """A late handle, as its token, and the submission that it is of."""
    return {"token": dict(token), "operation": list(operation[1:]), "submission": submission}


def read_handle(address: Address, data: object) -> tuple[OperationAddress, int, dict[str, object]]:
    """What a late handle is of, and its token. Raises `ValueError` for something else."""
    match cast("dict[str, Any] | None", data):
        case {"operation": place, "submission": int() as submission, "token": token} if (
            isinstance(token, dict) and 0 < submission < _COUNTS
        ):
            return _operation(address, place), submission, cast("dict[str, object]", token)
        case _:
            raise ValueError(f"this is no handle of {address}: {data!r}")


def _operation(address: Address, place: object) -> OperationAddress:
    match cast("list[Any] | None", place):
        case [int() as attempt, str() as chain, int() as number] if (
            0 < attempt < _COUNTS and 0 <= number < _COUNTS
        ):
            return OperationAddress(address, attempt, chain, number)
        case _:
            raise ValueError(f"this is no operation of {address}: {place!r}")

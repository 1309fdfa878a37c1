"""How a failure is kept: an exception as plain data, and the sentence that people read."""

from __future__ import annotations

import traceback
from typing import TypedDict

from ..nodes import OperationError

TRACEBACK_LIMIT = 4000
"""Characters of the traceback that are kept, from its end."""


class Failure(TypedDict, total=False):
    """An error as it is stored with an activation or a run."""

    type: str
    message: str
    code: str | None  # the provider's word for it
    partial: str  # text that there was before it failed
    node: str  # of a run's error: the activation's address
    traceback: str


def describe(error: BaseException, *, node: str | None = None) -> Failure:
    """The exception as plain data. An exception without a message is described by its type."""
    failure = Failure(type=type(error).__name__, message=said(error) or type(error).__name__)
    if isinstance(error, OperationError):
        if error.code is not None:
            failure["code"] = error.code
        partial = getattr(error, "partial", "")
        if partial:
            failure["partial"] = partial
    elif error.__traceback__ is not None:
        text = "".join(traceback.format_exception(error))
        failure["traceback"] = text[-TRACEBACK_LIMIT:]
    if node is not None:
        failure["node"] = node
    return failure


def said(error: BaseException) -> str:
    """The exception's own words. An exception that can't even be put into words must still be kept."""
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001  # the boundary: it is recorded as what the exception says
        return f"(its text can't be had: {type(worse).__name__})"


def sentence(failure: Failure) -> str:
    """`research[3]: OperationFailedError: the provider says …`"""
    text = f"{failure.get('type', 'Error')}: {failure.get('message', '')}"
    node = failure.get("node")
    return f"{node}: {text}" if node else text

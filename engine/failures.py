"""How a failure is kept: an exception as plain data, and the sentence that people read."""

from __future__ import annotations

import os
import traceback
from typing import TypedDict

from ..nodes.errors import OperationError
from ..nodes.redaction import redact

FRAMES = 20
"""Frames of a traceback that are kept, from its end."""
TRACEBACK_BYTES = 8_000
"""Bytes of a traceback that are kept, from its end. Local variables are never kept."""


class Failure(TypedDict, total=False):
    """An error as it is stored with an attempt, an activation or a run."""

    type: str
    message: str
    code: str | None  # the provider's word for it
    partial: str  # text that there was before it failed
    node: str  # of a run's error: the activation's address
    traceback: str  # of an error of the user's code


def describe(error: BaseException, *, node: str | None = None) -> Failure:
    """The exception as plain data, without keys. An exception without a message is described by its type."""
    failure = Failure(type=type(error).__name__, message=redact(said(error)) or type(error).__name__)
    if isinstance(error, OperationError):
        if error.code is not None:
            failure["code"] = error.code
        partial = getattr(error, "partial", "")
        if partial:
            failure["partial"] = partial
    elif error.__traceback__ is not None:
        failure["traceback"] = cut_traceback(error)
    if node is not None:
        failure["node"] = node
    return failure


def cut_traceback(error: BaseException) -> str:
    """The last frames of where an exception was raised, with paths relative to the working directory."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    here = os.getcwd() + os.sep
    lines: list[str] = []
    for frame in frames:
        name = frame.filename.removeprefix(here)
        lines.append(f'  File "{name}", line {frame.lineno}, in {frame.name}\n')
        if frame.line:
            lines.append(f"    {frame.line}\n")
    text = redact("".join(lines))
    data = text.encode("utf-8", "replace")
    return text if len(data) <= TRACEBACK_BYTES else data[-TRACEBACK_BYTES:].decode("utf-8", "ignore")


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

"""How a failure is kept: an exception as plain data, and the sentence that people read."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TypedDict

from ..nodes.errors import OperationError
from ..nodes.redaction import redact

FRAMES = 20
"""Frames of a traceback that are kept, from its end."""
TRACEBACK_BYTES = 8_000
"""Bytes of a traceback that are kept, from its end. Local variables are never kept."""


class FailureData(TypedDict, total=False):
    """An error as it is stored with an attempt, an activation or a run."""

    type: str
    message: str
    code: str | None  # the provider's word for it
    partial: str  # text that there was before it failed
    node: str  # of a run's error: the activation's address
    traceback: str  # of an error of the user's code


def describe(error: BaseException, *, node: str | None = None) -> FailureData:
    """The exception as plain data, without keys. An exception without a message is described by its type."""
    failure = FailureData(type=type(error).__name__, message=redact(said(error)) or type(error).__name__)
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
    """The last frames of where an exception was raised, after those of the exceptions that led to it.

    Paths are relative to the working directory, or to where the module was imported from.
    """
    frames: list[str] = []
    for link in _chain(error):
        frames += map(_frame, traceback.extract_tb(link.__traceback__))
        if link is not error and frames:
            frames[-1] += f"{type(link).__name__}: {said(link)}\n"
    data = redact("".join(frames[-FRAMES:])).encode("utf-8", "replace")
    return data[-TRACEBACK_BYTES:].decode("utf-8", "ignore")


def _chain(error: BaseException) -> list[BaseException]:
    """What led to the exception, first things first, and the exception itself."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and all(link is not known for known in chain):
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain[::-1]


def _frame(frame: traceback.FrameSummary) -> str:
    where = f'  File "{_relative(frame.filename)}", line {frame.lineno}, in {frame.name}\n'
    return f"{where}    {frame.line}\n" if frame.line else where


def _relative(file: str) -> str:
    folders = [os.getcwd(), *sorted(sys.path, key=len, reverse=True)]
    found = (file.removeprefix(folder + os.sep) for folder in folders if folder)
    return next((name for name in found if name != file), file)


def said(error: BaseException) -> str:
    """The exception's own words. An exception that can't even be put into words must still be kept."""
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001  # the boundary: it is recorded as what the exception says
        return f"(it has no text: {type(worse).__name__})"


def sentence(failure: FailureData) -> str:
    """`research[3]: OperationFailedError: the provider says …`"""
    text = f"{failure.get('type', 'Error')}: {failure.get('message', '')}"
    node = failure.get("node")
    return f"{node}: {text}" if node else text

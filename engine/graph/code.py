"""A hash of the code of a workflow's functions: only to tell people that it has changed, never to decide anything."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from .workflow import Workflow

_HASHES: WeakKeyDictionary[Workflow[Any, Any], str] = WeakKeyDictionary()


def code_hash(workflow: Workflow[Any, Any]) -> str:
    """16 hex digits, equal where no function of the workflow's nodes has changed, wherever its file is."""
    known = _HASHES.get(workflow)
    if known is None:
        known = _HASHES[workflow] = _hash_of(workflow)
    return known


def _hash_of(workflow: Workflow[Any, Any]) -> str:
    digest = hashlib.sha256()
    for node in workflow.plan.nodes:
        code = getattr(getattr(workflow.node(node.name), "fn", None), "__code__", None)
        digest.update(node.name.encode())
        if isinstance(code, CodeType):
            _add(digest, code)
    return digest.hexdigest()[:16]


def _add(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add(digest, constant)
        else:
            digest.update(repr(constant).encode("utf-8", "surrogatepass"))

"""The policies of a workflow's nodes, read off the nodes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypedDict

from ...checkpoints.codec import pack, unpack
from ...checkpoints.records import RunRecord
from ...nodes.durations import seconds
from ...nodes.function import FunctionNode
from ...nodes.node import Node
from ...nodes.operation_node import OperationNode
from ...nodes.operations.capabilities import Findable, Idempotent, Local, Once, PerContext, has_capability
from ...nodes.retry import Retry
from ..core.policy import NO_POLICIES, Policies, Policy
from ..graph import Workflow


def policies_of(workflow: Workflow[Any, Any]) -> Policies:
    """The policies of its nodes."""
    found = {
        node.name: policy_of(workflow.node(node.name), workflow.concurrency(node.name))
        for node in workflow.plan.nodes
    }
    return Policies(found)


@lru_cache(maxsize=64)
def pack_policies(policies: Policies) -> bytes:
    """The policies as a run's row holds them."""
    return pack(policies.plain) if policies.plain else b""


def stored_policies(record: RunRecord) -> Policies:
    """The policies that the run was driven with last."""
    return _unpack_policies(record.policies) if record.policies else NO_POLICIES


@lru_cache(maxsize=64)
def _unpack_policies(stored: bytes) -> Policies:
    return Policies.from_plain(unpack(stored))


def policy_of(node: Node[Any, Any], concurrency: int | None = None) -> Policy:
    """How the node is tried, asked after and given up."""
    if isinstance(node, FunctionNode):
        return Policy(concurrency=concurrency, **_tries(node.retries))
    if not isinstance(node, OperationNode):
        return Policy(concurrency=concurrency)
    adapter, polling = node.operation, node.polling
    local = has_capability(adapter, Local)
    return Policy(
        concurrency=concurrency,
        **_tries(node.retries),
        on_unknown_submit=node.on_unknown_submit,
        submit_timeout=node.submit_timeout,
        deadline=None if local else node.deadline,
        queue_limit=None if local else polling.queue_limit,
        first_poll=polling.first,
        longest_poll=polling.cap,
        spread=polling.jitter,
        idempotent_for=adapter.idempotent_for if has_capability(adapter, Idempotent) else 0.0,
        find_after=adapter.settles_within + adapter.submit_takes
        if has_capability(adapter, Findable)
        else None,
        once=has_capability(adapter, Once),
        per_context=has_capability(adapter, PerContext),
    )


class _Tries(TypedDict, total=False):
    retries: int
    first_backoff: float
    longest_backoff: float


def _tries(retries: int | Retry) -> _Tries:
    """A number of attempts has the waits of `Policy`."""
    if not isinstance(retries, Retry):
        return {"retries": retries}
    return {
        "retries": retries.times,
        "first_backoff": seconds(retries.first, "Retry(first=...)"),
        "longest_backoff": seconds(retries.cap, "Retry(cap=...)"),
    }

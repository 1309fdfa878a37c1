"""The form in which plans are stored: msgpack of plain data, under a signature. Needs none of the user's code."""

from __future__ import annotations

import hashlib

from ...checkpoints.codec import pack, unpack
from ...checkpoints.records import PlanRecord
from ..core.plan import Plan


def encode_plan(plan: Plan) -> bytes:
    """The plan as msgpack of plain data: the same bytes for equal plans."""
    return pack(plan.to_plain())


def decode_plan(data: bytes) -> Plan:
    """The plan that `encode_plan` wrote."""
    return Plan.from_plain(unpack(data))


def plan_record(plan: Plan) -> PlanRecord:
    """The plan as it is stored. Its signature, 16 hex digits, is equal for workflows of the same shape."""
    data = encode_plan(plan)
    return PlanRecord(signature=hashlib.sha256(data).hexdigest()[:16], workflow=plan.workflow, plan=data)

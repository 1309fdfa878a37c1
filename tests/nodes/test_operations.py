"""The protocol's plain data: tokens and outcomes that are stored; nodes of operations and their policy."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from perdure.nodes import Context, NodeDefinitionError, OperationError, OperationNode, Polling
from perdure.nodes.operations import (
    Asks,
    Call,
    Calls,
    ContinuationToken,
    Json,
    TimerOperation,
    operation_for,
)

TOKEN = ContinuationToken(provider="p", handle={"id": "x", "store": 3}, cursor={"n": 1}, created_at=1.5)


def a_node(**policy: Any) -> OperationNode[str, str]:
    def request(value: str, context: Context) -> dict[str, Json]:
        return {"value": value, "attempt": context.attempt}

    return OperationNode(
        "batch", input=str, output=str, operation=TimerOperation(), request=request, finish=str, **policy
    )


def through_json(data: dict[str, Json]) -> dict[str, Json]:
    return json.loads(json.dumps(data))


def test_a_token_is_plain_data() -> None:
    assert ContinuationToken.from_dict(through_json(TOKEN.to_dict())) == TOKEN
    assert TOKEN.at("further").cursor == "further"
    assert TOKEN.cursor == {"n": 1}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"provider": "p", "handle": "x", "created_at": 1.0},
        {"provider": "p", "handle": {}, "created_at": "now"},
        {"provider": None, "handle": {}, "created_at": 1.0},
    ],
)
def test_what_is_no_token_is_refused(data: dict[str, Json]) -> None:
    with pytest.raises(OperationError, match=r"no continuation token.*to_dict"):
        ContinuationToken.from_dict(data)


def test_calls_and_questions_are_plain_data() -> None:
    calls = Calls(
        calls=(Call(id="1", name="add", arguments={"a": [1]}), Call(id="2", name="add", arguments=None)),
        value=["an item"],
        usage={"tokens": 3},
    )
    assert Calls.from_dict(through_json(calls.to_dict())) == calls
    for schema in (None, {"type": "string"}):
        asks = Asks(token=TOKEN, question="Which?", schema=schema, data={"approval": "mcpr_1"})
        assert Asks.from_dict(through_json(asks.to_dict())) == asks


@pytest.mark.parametrize("data", [{}, {"calls": [{"id": 1}], "value": None, "usage": {}}])
def test_what_are_no_calls_is_refused(data: dict[str, Json]) -> None:
    with pytest.raises(OperationError, match=r"Calls\.to_dict"):
        Calls.from_dict(data)


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(OperationError, match=r"Asks\.to_dict"):
        Asks.from_dict({"question": "Which?"})


def test_a_node_of_an_operation_has_its_policy_beside_it() -> None:
    plain = a_node()
    assert (plain.kind, plain.passes_on) == ("operation", False)
    assert (plain.retries, plain.on_unknown_submit, plain.submit_timeout) == (3, "resubmit", 86400)
    assert plain.polling == Polling(
        first=0.3, cap=20, jitter=0.2, deadline=86400, queue_limit=3600, timeout=60
    )
    other = a_node(retries=0, on_unknown_submit="hold", submit_timeout=5, polling=Polling(cap=1))
    assert (other.retries, other.on_unknown_submit, other.submit_timeout) == (0, "hold", 5)
    assert other.polling.cap == 1


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"retries": -1}, "retries=-1.*use 0 or more"),
        ({"on_unknown_submit": "ask"}, "on_unknown_submit='ask'; use 'resubmit', 'fail' or 'hold'"),
        ({"submit_timeout": 0}, "submit_timeout=0.*above 0"),
        ({"submit_timeout": math.nan}, "submit_timeout=nan"),
        ({"submit_timeout": math.inf}, "submit_timeout=inf"),
    ],
)
def test_a_policy_that_is_none_names_the_node_and_the_fix(policy: dict[str, Any], words: str) -> None:
    with pytest.raises(NodeDefinitionError, match=f"batch: {words}"):
        a_node(**policy)


def test_a_token_finds_its_adapter_without_the_users_code() -> None:
    for provider in ("openai.responses", "perdure.timer"):
        adapter = operation_for(provider)
        assert adapter is not None
        assert adapter.provider == provider
    assert operation_for("another") is None

"""Submissions: the body of a create request, parsed as the API does and refused where the API would refuse it.

Only the fields that Perdure and its users send are checked; others are accepted unchecked. What is computed
from a submission lives in `_plan`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard

from ._schema import strict_violation

Object: TypeAlias = dict[str, object]


class RefusedRequest(Exception):  # noqa: N818  # a refusal that is sent to the client, not a failure of the simulator
    """The API refuses the request: `status` and the error envelope's `message`, `param` and `code`."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def not_found(response_id: str) -> RefusedRequest:
    """The refusal for an unknown id."""
    return RefusedRequest(404, f"Response with id '{response_id}' not found.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A create request that was parsed and found valid."""

    body: Mapping[str, object]
    """As it was sent."""
    model: str
    items: tuple[Object, ...]
    """The input as items; a plain string is one user message."""
    text: str
    """All text of the input, in order."""
    instructions: str
    background: bool
    stream: bool
    store: bool
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    previous_response_id: str | None = None
    max_output_tokens: int | None = None
    schema: Object | None = None
    """The JSON schema that the answer must conform to."""
    tools: tuple[Object, ...] = ()
    tool_choice: object = "auto"


def is_object(value: object) -> TypeGuard[Object]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def read_submission(raw: bytes) -> Submission:
    """Parse a body. Raises `RefusedRequest` with the API's wording."""
    body = _read_json(raw)
    model = _text(body, "model")
    if not model:
        raise RefusedRequest(
            400, "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
        )
    items = _read_input(body)
    background, stream = _flag(body, "background", False), _flag(body, "stream", False)
    store = _flag(body, "store", True)
    if background and not store:
        raise RefusedRequest(400, "Background mode requires 'store' to be true.", param="store")
    tools = body.get("tools")
    return Submission(
        body=body,
        model=model,
        items=items,
        text=input_text(items),
        instructions=_text(body, "instructions"),
        background=background,
        stream=stream,
        store=store,
        metadata=_read_metadata(body.get("metadata")),
        previous_response_id=_text(body, "previous_response_id") or None,
        max_output_tokens=_read_limit(body.get("max_output_tokens")),
        schema=_read_schema(body.get("text")),
        tools=tuple(tool for tool in tools if is_object(tool)) if is_list(tools) else (),
        tool_choice=body.get("tool_choice") or "auto",
    )


def input_text(items: tuple[Object, ...]) -> str:
    """The text of messages and of function outputs, one paragraph each."""
    return "\n".join(part for item in items for part in item_texts(item) if part)


def item_texts(item: Object) -> list[str]:
    content = item.get("output") if item.get("type") == "function_call_output" else item.get("content")
    if isinstance(content, str):
        return [content]
    if not is_list(content):
        return []
    texts = [part.get("text") for part in content if is_object(part)]
    return [text for text in texts if isinstance(text, str)]


def _read_json(raw: bytes) -> Object:
    try:
        body: object = json.loads(raw)
    except ValueError:
        body = None
    if not is_object(body):
        raise RefusedRequest(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
            "HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)",
        )
    return body


def _invalid_type(name: str, wanted: str, value: object) -> RefusedRequest:
    return RefusedRequest(
        400,
        f"Invalid type for '{name}': expected {wanted}, but got {_kind(value)} instead.",
        param=name,
        code="invalid_type",
    )


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _text(body: Object, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid_type(name, "a string", value)
    return value


def _flag(body: Object, name: str, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _invalid_type(name, "a boolean", value)
    return value


def _read_input(body: Object) -> tuple[Object, ...]:
    value = body.get("input")
    if isinstance(value, str):
        return ({"type": "message", "role": "user", "content": value},)
    if is_list(value):
        for index, item in enumerate(value):
            if not is_object(item):
                raise _invalid_type(f"input[{index}]", "an object", item)
        return tuple(item for item in value if is_object(item))
    if value is not None:
        raise _invalid_type("input", "a string or an array of input items", value)
    if body.get("previous_response_id") or body.get("prompt") or body.get("conversation"):
        return ()
    raise RefusedRequest(
        400,
        "Missing required parameter: one of 'input', 'previous_response_id', 'prompt' or 'conversation' must be "
        "provided.",
        param="input",
        code="missing_required_parameter",
    )


def _read_metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not is_object(value):
        raise _invalid_type("metadata", "an object", value)
    if len(value) > 16:
        raise RefusedRequest(
            400,
            f"Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got "
            f"an object with {len(value)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    metadata: dict[str, str] = {}
    for key, text in value.items():
        if not isinstance(text, str):
            raise _invalid_type(f"metadata.{key}", "a string", text)
        for what, limit in ((key, 64), (text, 512)):
            if len(what) > limit:
                raise RefusedRequest(
                    400,
                    f"Invalid 'metadata.{key}': string too long. Expected a string with maximum length {limit}, "
                    f"but got a string with length {len(what)} instead.",
                    param=f"metadata.{key}",
                    code="string_above_max_length",
                )
        metadata[key] = text
    return metadata


def _read_limit(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _invalid_type("max_output_tokens", "an integer", value)
    if value < 16:
        raise RefusedRequest(
            400,
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {value} "
            "instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    return value


def _read_schema(text: object) -> Object | None:
    format_ = text.get("format") if is_object(text) else None
    if not is_object(format_) or format_.get("type") != "json_schema":
        return None
    name, schema = format_.get("name"), format_.get("schema")
    if not isinstance(name, str) or not name or not name.replace("-", "_").isidentifier() or len(name) > 64:
        raise RefusedRequest(
            400,
            f"Invalid 'text.format.name': expected letters, digits, '_' and '-', 64 at most, but got {name!r}.",
            param="text.format.name",
            code="invalid_value",
        )
    if not is_object(schema):
        raise _invalid_type("text.format.schema", "an object", schema)
    violation = strict_violation(schema) if format_.get("strict") else None
    if violation is not None:
        raise RefusedRequest(
            400,
            f"Invalid schema for response_format '{name}': {violation}",
            param="text.format.schema",
            code="invalid_json_schema",
        )
    return schema

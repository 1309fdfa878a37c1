"""JSON documents that conform to a JSON schema: short, deterministic, with strings taken from the prompt.

Supports the subset of JSON Schema that structured outputs may use. `strict_violation` says what the API would
refuse in strict mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, TypeGuard

Schema: TypeAlias = Mapping[str, object]

_DEPTH = 6
"""Below this depth arrays are empty and unions take their simplest branch, so that recursion ends."""
_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "12345678-1234-4234-8234-123456789abc",
}


def document(schema: Schema, prompt: str) -> object:
    """A value that is valid for the schema. Its strings are made of their field's name and the prompt."""
    return _Writer(schema, prompt).value(schema, "answer", 0)


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _resolve(root: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if _is_object(found) else None
    return _resolve(root, found) if _is_object(found) else {}


class _Writer:
    def __init__(self, root: Schema, prompt: str) -> None:
        self._root = root
        self._prompt = prompt

    def value(self, schema: Schema, name: str, depth: int) -> object:
        schema = _resolve(self._root, schema)
        if "const" in schema:
            return schema["const"]
        if _is_list(choices := schema.get("enum")) and choices:
            return choices[0]
        for union in ("anyOf", "oneOf", "allOf"):
            if _is_list(branches := schema.get(union)) and branches:
                return self._branch([branch for branch in branches if _is_object(branch)], name, depth)
        kinds = schema.get("type")
        kind = self._kind(kinds, depth) if _is_list(kinds) else kinds
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                return _number(schema, integer=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case "string":
                return self._text(schema, name)
            case _:
                return self._object(schema, depth) if "properties" in schema else self._text(schema, name)

    def _kind(self, kinds: list[object], depth: int) -> object:
        if depth > _DEPTH and "null" in kinds:
            return "null"
        return next((kind for kind in kinds if kind != "null"), "null")

    def _branch(self, branches: list[dict[str, object]], name: str, depth: int) -> object:
        if not branches:
            return None
        if depth > _DEPTH:
            return self.value(min(branches, key=self._weight), name, depth + 1)
        wanted = [branch for branch in branches if branch.get("type") != "null"]
        return self.value((wanted or branches)[0], name, depth + 1)

    def _weight(self, schema: Schema) -> int:
        order = ("null", "boolean", "integer", "number", "string", "array", "object")
        kind = _resolve(self._root, schema).get("type")
        return order.index(kind) if isinstance(kind, str) and kind in order else len(order)

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties, required = schema.get("properties"), schema.get("required")
        if not _is_object(properties):
            return {}
        needed = required if _is_list(required) else []
        return {
            key: self.value(child, key, depth + 1)
            for key, child in properties.items()
            if _is_object(child) and (key in needed or depth <= _DEPTH)
        }

    def _array(self, schema: Schema, name: str, depth: int) -> list[object]:
        least, most = _integer(schema.get("minItems"), 0), _integer(schema.get("maxItems"), 1_000_000)
        count = min(max(least, 0 if depth > _DEPTH else 2), most)
        positional = schema.get("prefixItems")
        if _is_list(positional) and positional:
            return [self.value(item, name, depth + 1) for item in positional if _is_object(item)]
        items = schema.get("items")
        child: Schema = items if _is_object(items) else {"type": "string"}
        singular = name[:-1] if name.endswith("s") else name
        return [self.value(child, f"{singular} {index + 1}", depth + 1) for index in range(count)]

    def _text(self, schema: Schema, name: str) -> str:
        format_ = schema.get("format")
        if isinstance(format_, str) and format_ in _FORMATS:
            return _FORMATS[format_]
        text = f"{name}: {self._prompt}".strip().rstrip(":")
        least, most = _integer(schema.get("minLength"), 0), _integer(schema.get("maxLength"), 1_000_000)
        return text.ljust(least, ".")[:most]


def _integer(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _bound(schema: Schema, name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(schema: Schema, *, integer: bool) -> int | float:
    """A small number within the bounds; 1 if there are none."""
    step = _bound(schema, "multipleOf") or (1 if integer else 0.5)
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    value: float = step if integer else 1.0 if step == 0.5 else step
    if low is not None and value < low:
        value = -(-low // step) * step
    if above is not None and value <= above:
        value = (above // step + 1) * step
    if high is not None and value > high:
        value = high // step * step
    if below is not None and value >= below:
        value = (-(-below // step) - 1) * step
    return int(value) if integer else value


def strict_violation(schema: Schema) -> str | None:
    """What strict mode does not allow in this schema, in the API's wording; None when it is valid."""
    root = _resolve(schema, schema)
    if root.get("type") != "object":
        return (
            f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {json.dumps(root.get('type'))}'."
        )
    return _object_violation(schema, ())


def _object_violation(value: object, context: tuple[str, ...]) -> str | None:
    if _is_list(value):
        violations = (_object_violation(item, (*context, str(index))) for index, item in enumerate(value))
        return next((violation for violation in violations if violation), None)
    if not _is_object(value):
        return None
    if value.get("type") == "object":
        if value.get("additionalProperties") is not False:
            return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        properties, required = value.get("properties"), value.get("required")
        names = list(properties) if _is_object(properties) else []
        missing = [name for name in names if name not in (required if _is_list(required) else [])]
        if missing:
            return (
                f"In context={context}, 'required' is required to be supplied and to be an array including "
                f"every key in properties. Missing '{missing[0]}'."
            )
    children = ((key, child) for key, child in value.items() if key not in ("enum", "const", "default"))
    violations = (_object_violation(child, (*context, key)) for key, child in children)
    return next((violation for violation in violations if violation), None)

"""`TextFormat`: a type as the strict JSON schema of a structured output, and answers read back as that type.

The API's strict mode takes a part of JSON Schema: every object is closed and names all of its properties as
required, the root is an object. (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)
What can't be said in it is an error where the node is declared; limits that it doesn't know (lengths,
patterns with lookaround) are left out of the schema and checked when the answer is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..checkpoints.type_names import type_name
from .errors import NodeDefinitionError, OutputInvalidError
from .operations.tokens import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_KEPT = frozenset(
    [
        "$defs",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maximum",
        "maxItems",
        "minimum",
        "minItems",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    ]
)
_FORMATS = frozenset(["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"])
_REFUSED = {
    "prefixItems": "a tuple: use a class with a field for each position",
    "patternProperties": "a mapping: use a list of objects that hold key and value",
    "allOf": "an intersection: write one class with all of the fields",
    "not": "a negation",
    "if": "a condition",
}


class TextFormat:
    """A type whose values the model shall write. Raises `NodeDefinitionError` when strict mode can't say it."""

    def __init__(self, output: object, *, where: str) -> None:
        """`where` names the declaration in messages."""
        self._where = where
        self._name = re.sub(r"[^A-Za-z0-9_-]", "_", getattr(output, "__name__", "output"))[:64]
        self._adapter = self._adapted(output)
        self._schema = self._strict_schema(output)

    @property
    def parameter(self) -> dict[str, Json]:
        """The `text` parameter of a request."""
        form: dict[str, Json] = {
            "type": "json_schema",
            "name": self._name,
            "schema": self._schema,
            "strict": True,
        }
        return {"format": form}

    def read(self, text: str) -> Any:
        """The answer as the type. Raises `OutputInvalidError` with the text and the reasons."""
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'the value'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)
            )
        raise OutputInvalidError(
            f"{self._where}: the answer is no {self._name}: {reasons}. It reads: {_shortened(text)}",
            code="invalid_output",
            partial=text,
        )

    def _adapted(self, output: object) -> TypeAdapter[Any]:
        from pydantic import PydanticUserError, TypeAdapter
        from pydantic.errors import PydanticSchemaGenerationError

        if isinstance(output, str):
            raise NodeDefinitionError(
                f"{self._where}: output={output!r} is text. Give the type itself, not its name in quotes."
            )
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(cast("type[Any]", output))
        except (PydanticUserError, PydanticSchemaGenerationError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise NodeDefinitionError(
                f"{self._where}: {type_name(output)} can't be an output ({reason}). Use a dataclass, a TypedDict "
                "or a pydantic model."
            ) from error
        return adapter

    def _strict_schema(self, output: object) -> dict[str, Json]:
        from pydantic.errors import PydanticInvalidForJsonSchema

        try:
            schema: dict[str, Any] = self._adapter.json_schema()
        except PydanticInvalidForJsonSchema as error:
            raise NodeDefinitionError(
                f"{self._where}: {type_name(output)} can't be said as a JSON schema ({error.message})."
            ) from error
        definitions: Mapping[str, Any] = schema.pop("$defs", {})
        root = schema
        if "$ref" in root:  # a type that contains itself
            root = definitions[str(root["$ref"]).rpartition("/")[2]]
        if root.get("type") != "object" or "properties" not in root:
            raise NodeDefinitionError(
                f"{self._where}: output={type_name(output)} is no object with named fields, which is what the API "
                "asks of a structured output. Wrap it in a class with one field, `class Answer(BaseModel): value: "
                f"{type_name(output)}`, and say output=Answer. For plain text leave output= away."
            )
        strict = self._strict(root, "$")
        if definitions:
            strict["$defs"] = {
                name: self._strict(definition, name) for name, definition in definitions.items()
            }
        return strict

    def _strict(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        """One schema in the words that strict mode knows."""
        for word, meaning in _REFUSED.items():
            if word in schema:
                raise self._refusal(path, f"it is {meaning}")
        if "$ref" in schema:
            reference = {"$ref": schema["$ref"]}
            others = {word: schema[word] for word in ("description",) if word in schema}
            return {"anyOf": [reference], **others} if others else reference  # a reference stands alone
        strict = {word: value for word, value in schema.items() if word in _KEPT}
        if "(?" in str(strict.get("pattern", "")):
            del strict["pattern"]
        if strict.get("format") not in _FORMATS:
            strict.pop("format", None)
        variants: list[Mapping[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or []
        if variants:
            strict["anyOf"] = [self._strict(variant, f"{path}|{n}") for n, variant in enumerate(variants)]
        elif schema.get("type") == "object":
            self._close(strict, schema, path)
        elif schema.get("type") == "array":
            strict["items"] = self._strict(schema.get("items", {}), f"{path}[]")
        elif not schema.keys() & {"type", "enum", "const"}:
            raise self._refusal(path, "it can be anything: name its type")
        return strict

    def _close(self, strict: dict[str, Any], schema: Mapping[str, Any], path: str) -> None:
        """Name all properties as required and allow no others."""
        if schema.get("additionalProperties", False) is not False:
            raise self._refusal(
                path,
                "it takes any keys (a dict, or extra='allow'): use a list of objects that hold key and value",
            )
        properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
        required = schema.get("required", ())
        for name, field in properties.items():
            if name not in required and "default" not in field:
                raise self._refusal(
                    f"{path}.{name}",
                    "it can be left out (NotRequired, or a default made by a function), but the model always fills "
                    "every field: make it required, with `| None` where there may be nothing",
                )
        strict["properties"] = {
            name: self._strict(field, f"{path}.{name}") for name, field in properties.items()
        }
        strict["required"] = list(properties)
        strict["additionalProperties"] = False

    def _refusal(self, path: str, reason: str) -> NodeDefinitionError:
        return NodeDefinitionError(
            f"{self._where}: the output {self._name} can't be a structured output at {path}: {reason}."
        )


def _shortened(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"

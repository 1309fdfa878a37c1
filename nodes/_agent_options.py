"""What an agent can be given: its options as plain JSON, and the tools that it can't have."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .errors import NodeDefinitionError
from .operations.tokens import Json

_LOCAL_TOOLS = frozenset(
    ("function", "custom", "computer", "computer_use_preview", "local_shell", "shell", "apply_patch")
)
_OURS = frozenset(
    (
        "background",
        "input",
        "instructions",
        "metadata",
        "model",
        "previous_response_id",
        "store",
        "stream",
        "text",
    )
)


def plain_options(agent: str, options: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, Json]:
    """A copy of an agent's options, as they are sent; those that are None are left out.

    Raises `NodeDefinitionError` for what can't be sent, or would leave a response without an answer.
    """
    taken = sorted(extra.keys() & _OURS)
    if taken:
        raise NodeDefinitionError(
            f"Agent {agent!r}: extra= can't hold {', '.join(taken)}, which the library sets itself."
        )
    given = {name: value for name, value in options.items() if value is not None}
    try:
        plain: dict[str, Json] = json.loads(json.dumps({**given, **extra}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise NodeDefinitionError(f"Agent {agent!r}: its options are no plain JSON ({error}).") from error
    tools = plain.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        _refuse_local(agent, tool)
    return plain


def _refuse_local(agent: str, tool: Json) -> None:
    """Refuse a tool that something here would have to run or to answer."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        raise NodeDefinitionError(
            f"Agent {agent!r}: a tool is a dict with its type, such as {{'type': 'web_search'}}, not {tool!r}."
        )
    if kind in _LOCAL_TOOLS:
        raise NodeDefinitionError(
            f"Agent {agent!r}: a tool of type {kind!r} has to be run here, which is not supported. Use tools that run "
            "at the provider (web_search, file_search, code_interpreter, image_generation, mcp)."
        )
    if kind == "mcp" and isinstance(tool, dict) and tool.get("require_approval") != "never":
        raise NodeDefinitionError(
            f"Agent {agent!r}: nobody here can approve calls of MCP tools. Say 'require_approval': 'never'."
        )

"""`AgentWork`: what the nodes of an agent have in common: the request for a prompt, and the output of a response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, cast, get_args, get_origin

from ._text_format import TextFormat
from .context import Context
from .errors import NodeDefinitionError, NotBuiltError
from .operations.tokens import Json
from .responses import AgentResponse, completed_response

_METADATA_LIMIT = 512  # characters of a value; the API refuses longer ones


class RequestMaker(Protocol):
    """Makes the parameters of `responses.create`."""

    def __call__(
        self,
        prompt: Json,
        *,
        background: bool,
        metadata: Mapping[str, str],
        text: Mapping[str, Json] | None,
    ) -> dict[str, Json]: ...


class AgentWork:
    """One agent's requests and outputs. `output` is the type of what is given: `str`, a type that the model writes, or
    an `AgentResponse` of one of these."""

    def __init__(
        self, *, agent: str, where: str, make_request: RequestMaker, background: bool, output: object
    ) -> None:
        """Raises `NodeDefinitionError` for an output that can't be asked for."""
        self._agent = agent
        self._where = where
        self._make_request = make_request
        self._background = background
        self._whole = output is AgentResponse or get_origin(output) is AgentResponse
        written: object = (get_args(output) or (str,))[0] if self._whole else output
        self._form = None if written is str else TextFormat(written, where=where)
        self.output: object = AgentResponse[str] if output is AgentResponse else output

    @property
    def text(self) -> dict[str, Json] | None:
        """The `text` parameter of a request."""
        return None if self._form is None else self._form.parameter

    def request(self, prompt: object, context: Context) -> Mapping[str, Json]:
        """The request for what the prompt asks."""
        return self._make_request(
            plain_prompt(prompt, self._where),
            background=self._background,
            metadata=_metadata(self._agent, context),
            text=self.text,
        )

    def finish(self, value: Json) -> Any:
        """The output of a response that has completed."""
        if isinstance(value, dict) and isinstance(text := value.get("text"), str):
            written = text if self._form is None else self._form.read(text)
            return completed_response(value, written) if self._whole else written
        raise NodeDefinitionError(f"{self._where}: {value!r} is no answer of a response.")


def plain_prompt(prompt: object, where: str) -> Json:
    """Text, or input items as plain JSON. Raises `NodeDefinitionError` for what is neither, or empty."""
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, list | tuple) and prompt:
        items = cast("list[object]", prompt)
        if all(isinstance(item, Mapping) for item in items):
            try:
                return json.loads(json.dumps(items, allow_nan=False, default=dict))
            except (TypeError, ValueError) as error:
                raise NodeDefinitionError(f"{where}: its input items are no plain JSON ({error}).") from error
    raise NodeDefinitionError(
        f"{where}: it said {prompt!r} instead of what to ask. Return text that is not empty, or a list of input items."
    )


def refuse_unbuilt(where: str, options: Mapping[str, tuple[object, object, str]]) -> None:
    """Raise `NotBuiltError` for an option (value, only value that is built, what to do today) that is not there yet."""
    for name, (value, built, today) in options.items():
        if value != built:
            raise NotBuiltError(f"{where}: `{name}={value!r}` is not built yet. Today: leave it out{today}.")


def refuse_functions(agent: str, tools: object) -> None:
    """Raise `NotBuiltError` for tools that are functions."""
    for tool in cast("tuple[object, ...]", tools):
        if callable(tool):
            raise NotBuiltError(
                f"Agent {agent!r}: tools that are functions are not built yet. Today: use tools that run at the "
                "provider, such as {'type': 'web_search'}, and call your functions in an `@node` before or after."
            )


def _metadata(agent: str, context: Context) -> dict[str, str]:
    """Whose response this is, so that a person (or a webhook) finds the run of a lost handle."""
    path = f"[{', '.join(map(str, context.path))}]" if context.path else ""
    about = {
        "run": context.run_id,
        "node": f"{context.node}{path}",
        "attempt": str(context.attempt),
        "agent": agent,
    }
    return {name: value[:_METADATA_LIMIT] for name, value in about.items()}

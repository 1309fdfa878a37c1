"""`Agent`: a model with its instructions and options, as a node of a workflow or alone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from typing_extensions import TypeForm

from ._agent_node import AgentNode, I, Prompt, PromptDecorator
from ._agent_options import plain_options
from ._agent_run import AgentResponse, AgentUpdate, response_of
from .errors import NodeDefinitionError, OperationError
from .node import Node
from .operation_node import OnUnknownSubmit
from .operations.capabilities import StreamPiece
from .operations.openai import ResponsesOperation
from .operations.outcomes import Outcome, Succeeded
from .operations.tokens import ContinuationToken, Json
from .polling import Polling
from .thread import AgentThread

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.responses import ToolParam
    from openai.types.responses.response_create_params import ToolChoice
    from openai.types.shared_params import Reasoning

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """A model that answers. Immutable, so one agent can serve many nodes, workflows and threads.

    Nothing is sent before it is run. Without `client` the event loop's default client is used, which is made on
    first use from `OPENAI_API_KEY`, `OPENAI_BASE_URL` and so on. A client of your own may be any `AsyncOpenAI`;
    its key stays in it.
    """

    name: str
    _: KW_ONLY
    model: str
    instructions: str | None = None
    client: AsyncOpenAI | None = field(default=None, repr=False)
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: Sequence[ToolParam] = ()
    """Tools that run at the provider: web_search, file_search, code_interpreter, image_generation, mcp."""
    tool_choice: ToolChoice | None = None
    max_tool_calls: int | None = None
    service_tier: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    """Other parameters of `responses.create`, plain JSON; sent as they are."""
    polling: Polling = field(default_factory=Polling, repr=False)
    """How often its runs are polled, and how long they may take."""
    _options: Mapping[str, Json] = field(init=False, repr=False)
    _operation: ResponsesOperation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `NodeDefinitionError` for options that can't be sent."""
        if not self.name or not self.model:
            raise NodeDefinitionError("An agent needs a name and a model.")
        options = {
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "reasoning": self.reasoning,
            "service_tier": self.service_tier,
            "temperature": self.temperature,
            "tool_choice": self.tool_choice,
            "tools": list(self.tools) or None,
            "top_p": self.top_p,
            "truncation": self.truncation,
        }
        object.__setattr__(self, "_options", plain_options(self.name, options, self.extra))
        object.__setattr__(self, "_operation", ResponsesOperation(self.client, polling=self.polling))

    @property
    def operation(self) -> ResponsesOperation:
        """The adapter that this agent's runs go through."""
        return self._operation

    @overload
    def node(self, fn: Prompt[I], /) -> Node[I, str]: ...
    @overload
    def node(
        self,
        /,
        *,
        output: TypeForm[T],
        background: bool = True,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        retries: int = 3,
        name: str | None = None,
    ) -> PromptDecorator[T]: ...
    @overload
    def node(
        self,
        /,
        *,
        background: bool = True,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        retries: int = 3,
        name: str | None = None,
    ) -> PromptDecorator[str]: ...
    def node(
        self,
        fn: Callable[..., str] | None = None,
        /,
        *,
        output: object = None,
        background: bool = True,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        retries: int = 3,
        name: str | None = None,
    ) -> Any:
        """Make a node of a plain function that says what to ask: `(value) -> str` or `(value, ctx) -> str`.

        The function runs on the event loop before each submission and may run again after a crash: keep it
        quick and without effects. What it says is committed before it is sent.

        - `output`: the type of the answer, for which the API's structured outputs are used: a pydantic model, a
          dataclass or a TypedDict. Without it the answer is text.
        - `background`: the run lives at the provider (the default), and its handle is checkpointed. With False
          the answer comes in the submission's own reply, so a crash meanwhile leaves the fate of the submission
          unknown: `on_unknown_submit` then decides.
        - `on_unknown_submit`: what to do when the provider may have accepted a submission whose handle we do
          not hold: submit the same request again, fail the node, or hold it until a person decides.
        - `retries`: how many attempts may follow the first, after failures that may pass.

        Raises `NodeDefinitionError` when the function or the output can't be used as they are.
        """

        def make(prompt: Callable[..., str]) -> AgentNode[Any, Any]:
            return AgentNode(
                prompt,
                agent=self.name,
                operation=self._operation,
                make_request=self._request,
                background=background,
                output=output,
                on_unknown_submit=on_unknown_submit,
                retries=retries,
                polling=self.polling,
                name=name,
            )

        return PromptDecorator[Any](make) if fn is None else make(fn)

    def get_new_thread(self) -> AgentThread:
        """A conversation that has not begun yet."""
        return AgentThread()

    @overload
    def run(
        self,
        prompt: str,
        /,
        *,
        thread: AgentThread | None = None,
        background: bool = False,
        stream: Literal[False] = False,
    ) -> Coroutine[Any, Any, AgentResponse]: ...
    @overload
    def run(
        self,
        prompt: str,
        /,
        *,
        thread: AgentThread | None = None,
        background: bool = False,
        stream: Literal[True],
    ) -> AsyncGenerator[AgentUpdate, None]: ...
    @overload
    def run(
        self,
        /,
        *,
        continuation_token: ContinuationToken | Mapping[str, object],
        thread: AgentThread | None = None,
        stream: Literal[False] = False,
    ) -> Coroutine[Any, Any, AgentResponse]: ...
    @overload
    def run(
        self,
        /,
        *,
        continuation_token: ContinuationToken | Mapping[str, object],
        thread: AgentThread | None = None,
        stream: Literal[True],
    ) -> AsyncGenerator[AgentUpdate, None]: ...
    def run(
        self,
        prompt: str | None = None,
        /,
        *,
        continuation_token: ContinuationToken | Mapping[str, object] | None = None,
        thread: AgentThread | None = None,
        background: bool = False,
        stream: bool = False,
    ) -> Any:
        """Ask something, or go on with what was asked before. Nothing is stored: the token is yours to keep.

        With a `prompt` a response is created; with `background` the call returns as soon as its handle is
        known. With a `continuation_token` (or its `to_dict()`) of an earlier answer that one is polled
        once. `thread` carries the conversation on, and advances when a response has completed: hand the same
        one in each time.

        With `stream` the answer comes as updates. Each update of a background run has the token that stands
        right after it: going on with that token delivers exactly the text that follows, in this process or
        another. Without `background` an interrupted stream is lost, so its updates have no token.

        Raises `SubmissionRejectedError` or `SubmissionUnknownError` when the response was not created or may
        have been, `ProviderUnavailableError` when the provider will not talk about it, and the typed error of a
        response that failed, was refused, cancelled, incomplete or is no longer known.
        """
        if (prompt is None) == (continuation_token is None):
            both = "not both" if prompt is not None else "and neither was given"
            raise OperationError(
                f"Agent {self.name!r}: run() takes a prompt or a continuation_token, {both}. A response without "
                "a token has ended: its text is in the response.",
                code="invalid_call",
            )
        if continuation_token is not None:
            token = (
                continuation_token
                if isinstance(continuation_token, ContinuationToken)
                else ContinuationToken.from_dict(continuation_token)
            )
            return self._stream(self._operation.stream(token), thread) if stream else self._ask(token, thread)
        request = self._request(
            prompt or "",
            background=background,
            metadata={"agent": self.name},
            text=None,
            previous=thread.previous_response_id if thread else None,
        )
        key = str(uuid.uuid4())
        if stream:
            return self._stream(self._operation.begin_stream(request, key), thread, resumable=background)
        return self._begin(request, key, thread)

    async def _begin(
        self, request: Mapping[str, Json], key: str, thread: AgentThread | None
    ) -> AgentResponse:
        token, state = await self._operation.begin(request, key)
        return self._answered(token, state, thread)

    async def _ask(self, token: ContinuationToken, thread: AgentThread | None) -> AgentResponse:
        return self._answered(token, await self._operation.poll(token), thread)

    async def _stream(
        self,
        pieces: AsyncGenerator[StreamPiece, None],
        thread: AgentThread | None,
        *,
        resumable: bool = True,
    ) -> AsyncGenerator[AgentUpdate, None]:
        async with aclosing(pieces):
            async for piece in pieces:
                token = piece.token if resumable else None
                if piece.end is None:
                    yield AgentUpdate(text=piece.text, continuation_token=token)
                elif isinstance(piece.end, Succeeded):
                    yield AgentUpdate(
                        text=piece.text, response=self._answered(piece.token, piece.end, thread)
                    )
                else:
                    if piece.text:  # of an incomplete response: what there is belongs to the reader
                        yield AgentUpdate(text=piece.text, continuation_token=token)
                    response_of(piece.token, piece.end, wait=self._operation.wait)

    def _answered(
        self, token: ContinuationToken, outcome: Outcome, thread: AgentThread | None
    ) -> AgentResponse:
        """The response, and the thread moved on if it has completed."""
        response = response_of(token, outcome, wait=self._operation.wait)
        if thread is not None and isinstance(outcome, Succeeded):
            match outcome.value:
                case {"previous_response_id": str() | None as after}:
                    thread.advance(response.id, after=after)
                case _:
                    pass
        return response

    def _request(
        self,
        prompt: str,
        *,
        background: bool,
        metadata: Mapping[str, str],
        text: Mapping[str, Json] | None,
        previous: str | None = None,
    ) -> dict[str, Json]:
        """The parameters of `responses.create`: the same for the same arguments, in a fixed order."""
        request: dict[str, Json] = {"model": self.model, "input": prompt}
        if self.instructions is not None:
            request["instructions"] = self.instructions
        request |= self._options
        if text is not None:
            request["text"] = dict(text)
        if previous is not None:
            request["previous_response_id"] = previous
        return {**request, "metadata": dict(metadata), "background": background, "store": True}

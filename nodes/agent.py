"""`Agent`: a model with its instructions and options, as a node of a workflow or alone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar, overload

from typing_extensions import TypeForm

from ._agent_options import plain_options
from ._agent_run import AgentUpdate, response_of
from ._agent_work import AgentWork, plain_prompt, refuse_functions, refuse_unbuilt
from .batch import BatchDecorator
from .context import Context
from .durations import Duration
from .errors import (
    NodeDefinitionError,
    NotBuiltError,
    OperationError,
    ProviderUnavailableError,
    SubmissionRejectedError,
)
from .node import Out, Source
from .operation_node import SUBMIT_TIMEOUT, OnUnknownSubmit, OperationNode
from .operations.capabilities import StreamPiece
from .operations.openai import ResponsesOperation, ResponsesPerContext, is_client
from .operations.outcomes import Outcome, Succeeded
from .operations.tokens import ContinuationToken, Json
from .polling import Polling
from .prompt_node import I, PromptDecorator, PromptNode
from .prompts import Item, Prompt
from .responses import AgentResponse
from .retry import Retry
from .thread import AgentThread

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.responses import ToolParam
    from openai.types.responses.response_create_params import ToolChoice
    from openai.types.shared_params import Reasoning

T = TypeVar("T")

MAX_TURNS: Final = 10
_PROMPT: Final[object] = str | list[dict[str, object]]
"""`Prompt` as it is stored."""


class Agent(OperationNode[Prompt, Out]):
    """A model that answers: a node as it stands, which takes a prompt, and the maker of nodes with a function.

    Immutable, so one agent can serve many nodes, workflows and threads. Nothing is sent before it is run. Without
    `client` the event loop's default client is used, which is made on first use from `OPENAI_API_KEY`,
    `OPENAI_BASE_URL` and so on. A client of your own may be any `AsyncOpenAI`; its key stays in it.

    A client can also be chosen for each run: `client=lambda ctx: clients[ctx.labels["tenant"]]`. The function is asked
    before each exchange with the provider, also after a crash and when the run is not in memory. It must be quick, and
    give the same client for the same run; clients that it makes should be kept, because each has its own connections.
    Its context has `run_id`, `node`, `path`, `attempt`, `labels` and `resource(...)`, but no outputs. Where it raises,
    nothing is sent: no run is started, and a run that was started is left as it is committed.
    """

    kind: ClassVar[str] = "agent"

    @overload
    def __init__(
        self: Agent[str],
        name: str,
        *,
        model: str,
        instructions: str | None = None,
        tools: Sequence[Callable[..., object] | Item | ToolParam] = (),
        max_turns: int = MAX_TURNS,
        client: AsyncOpenAI | Callable[[Context], AsyncOpenAI] | None = None,
        service_tier: str | None = None,
        retries: int | Retry = 3,
        deadline: Duration | None = None,
        submit_timeout: Duration = SUBMIT_TIMEOUT,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        reasoning: Reasoning | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: ToolChoice | None = None,
        max_tool_calls: int | None = None,
        truncation: Literal["auto", "disabled"] | None = None,
        extra: Mapping[str, object] | None = None,
        polling: Polling | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[T],
        name: str,
        *,
        output: TypeForm[T],
        model: str,
        instructions: str | None = None,
        tools: Sequence[Callable[..., object] | Item | ToolParam] = (),
        max_turns: int = MAX_TURNS,
        client: AsyncOpenAI | Callable[[Context], AsyncOpenAI] | None = None,
        service_tier: str | None = None,
        retries: int | Retry = 3,
        deadline: Duration | None = None,
        submit_timeout: Duration = SUBMIT_TIMEOUT,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        reasoning: Reasoning | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: ToolChoice | None = None,
        max_tool_calls: int | None = None,
        truncation: Literal["auto", "disabled"] | None = None,
        extra: Mapping[str, object] | None = None,
        polling: Polling | None = None,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        output: object = str,
        model: str,
        instructions: str | None = None,
        tools: Sequence[Callable[..., object] | Item | ToolParam] = (),
        max_turns: int = MAX_TURNS,
        client: AsyncOpenAI | Callable[[Context], AsyncOpenAI] | None = None,
        service_tier: str | None = None,
        retries: int | Retry = 3,
        deadline: Duration | None = None,
        submit_timeout: Duration = SUBMIT_TIMEOUT,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        reasoning: Reasoning | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: ToolChoice | None = None,
        max_tool_calls: int | None = None,
        truncation: Literal["auto", "disabled"] | None = None,
        extra: Mapping[str, object] | None = None,
        polling: Polling | None = None,
    ) -> None:
        """`tools` run at the provider (web_search, file_search, code_interpreter, image_generation, mcp). `extra` are
        other parameters of `responses.create`, plain JSON, sent as they are. `polling` says how often its runs are
        polled; `deadline` how long one may take. `output` is what the model writes: text, or a type for which the
        API's structured outputs are used (a pydantic model, a dataclass, a TypedDict), or an `AgentResponse` of one.

        Raises `NodeDefinitionError` for options that can't be sent, `NotBuiltError` for those to come.
        """
        if not name or not model:
            raise NodeDefinitionError("An agent needs a name and a model.")
        where = f"Agent {name!r}"
        if isinstance(tools, str | Mapping):
            raise NodeDefinitionError(
                f"{where}: tools= takes a list of tools, not {tools!r}: use tools=[...]."
            )
        refuse_functions(name, tuple(tools))
        refuse_unbuilt(
            where,
            {"max_turns": (max_turns, MAX_TURNS, ": no function of yours is called, so there is one turn")},
        )
        options = {
            "max_output_tokens": max_output_tokens,
            "max_tool_calls": max_tool_calls,
            "reasoning": reasoning,
            "service_tier": service_tier,
            "temperature": temperature,
            "tool_choice": tool_choice,
            "tools": list(tools) or None,
            "top_p": top_p,
            "truncation": truncation,
        }
        polling = polling or Polling()
        self.model: Final = model
        self.instructions: Final = instructions
        self._options: Final = plain_options(name, options, extra or {})
        self._responses: Final = _responses(client, polling, where)
        self._work: Final = AgentWork(
            agent=name, where=where, make_request=self._parameters, background=True, output=output
        )
        super().__init__(
            name,
            input=_PROMPT,
            output=self._work.output,
            operation=self._responses,
            request=self._work.request,
            finish=self._work.finish,
            retries=retries,
            deadline=deadline,
            on_unknown_submit=on_unknown_submit,
            submit_timeout=submit_timeout,
            polling=polling,
            where=where,
        )

    @overload
    def node(self, fn: Callable[[I], Prompt], /) -> PromptNode[I, [I], Out]: ...
    @overload
    def node(self, fn: Callable[[I, Context], Prompt], /) -> PromptNode[I, [I, Context], Out]: ...
    @overload
    def node(
        self,
        /,
        *,
        output: TypeForm[T],
        name: str | None = None,
        stream: bool = False,
        background: bool = True,
        continues: Source[object] | Literal["self"] | None = None,
        completion_window: Literal["2h", "8h"] | None = None,
        retries: int | Retry | None = None,
        deadline: Duration | None = None,
        submit_timeout: Duration | None = None,
        on_unknown_submit: OnUnknownSubmit | None = None,
        on_incomplete: Literal["fail", "accept", "retry"] = "fail",
    ) -> PromptDecorator[T]: ...
    @overload
    def node(
        self,
        /,
        *,
        name: str | None = None,
        stream: bool = False,
        background: bool = True,
        continues: Source[object] | Literal["self"] | None = None,
        completion_window: Literal["2h", "8h"] | None = None,
        retries: int | Retry | None = None,
        deadline: Duration | None = None,
        submit_timeout: Duration | None = None,
        on_unknown_submit: OnUnknownSubmit | None = None,
        on_incomplete: Literal["fail", "accept", "retry"] = "fail",
    ) -> PromptDecorator[Out]: ...
    def node(
        self,
        fn: Callable[..., Prompt] | None = None,
        /,
        *,
        output: object = None,
        name: str | None = None,
        stream: bool = False,
        background: bool = True,
        continues: Source[object] | Literal["self"] | None = None,
        completion_window: Literal["2h", "8h"] | None = None,
        retries: int | Retry | None = None,
        deadline: Duration | None = None,
        submit_timeout: Duration | None = None,
        on_unknown_submit: OnUnknownSubmit | None = None,
        on_incomplete: Literal["fail", "accept", "retry"] = "fail",
    ) -> Any:
        """Make a node of a plain function that says what to ask: `(value) -> Prompt` or `(value, ctx) -> Prompt`.

        The function runs on the event loop before each submission and may run again after a crash: keep it
        quick and without effects. What it says is committed before it is sent.

        - `output`: the type of the answer, as of the agent, whose own it is unless given.
        - `background`: the run lives at the provider (the default), and its handle is checkpointed. With False
          the answer comes in the submission's own reply, so a crash meanwhile leaves the fate of the submission
          unknown: `on_unknown_submit` then decides.
        - `on_unknown_submit`: what to do when the provider may have accepted a submission whose handle we do
          not hold: submit the same request again, fail the node, or hold it until a person decides.
        - `retries`: how many attempts may follow the first, after failures that may pass, or a `Retry`.
        - `deadline`: how long a response may take; `submit_timeout`: how long a submission is tried.

        What is not given is as the agent has it. Raises `NodeDefinitionError` when the function or the output can't be
        used as they are, `NotBuiltError` for `stream`, `continues`, `completion_window` and `on_incomplete`.
        """
        refuse_unbuilt(
            f"A node of agent {self.name!r}",
            {
                "stream": (
                    stream,
                    False,
                    "; `agent.run(prompt, stream=True)` gives text as it is written, in no workflow",
                ),
                "continues": (
                    continues,
                    None,
                    ", and put what was said before into the prompt (`ctx.output(node)`)",
                ),
                "completion_window": (
                    completion_window,
                    None,
                    ", and the answer comes at the usual pace and price",
                ),
                "on_incomplete": (
                    on_incomplete,
                    "fail",
                    ": an answer that was cut off fails the node. Give the agent a larger `max_output_tokens`",
                ),
            },
        )

        def make(prompt: Callable[..., Prompt]) -> PromptNode[Any, Any, Any]:
            return PromptNode[Any, Any, Any](
                prompt,
                agent=self.name,
                operation=self._responses,
                make_request=self._parameters,
                background=background,
                output=self.output if output is None else output,
                on_unknown_submit=on_unknown_submit or self.on_unknown_submit,
                retries=self.retries if retries is None else retries,
                deadline=self.deadline if deadline is None else deadline,
                submit_timeout=self.submit_timeout if submit_timeout is None else submit_timeout,
                polling=self.polling,
                name=name,
            )

        return PromptDecorator[Any](make) if fn is None else make(fn)

    def batch(self, /, *, max_wait: Duration = 86_400.0) -> BatchDecorator[Out]:
        """A node that sends a list as one provider batch. Not built yet: raises `NotBuiltError`."""
        raise NotBuiltError(
            f"Agent {self.name!r}: `batch` is not built yet. Today: `map` over the list with a node of the agent."
        )

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name in self.__dict__:
            raise AttributeError(
                f"Agent {self.name!r} is immutable: make another one with the {name} that you want."
            )
        super().__setattr__(name, value)

    def _read(self, value: Json) -> Out:
        return self._work.finish(value)

    def get_new_thread(self) -> AgentThread:
        """A conversation that has not begun yet."""
        return AgentThread()

    @overload
    def run(
        self,
        prompt: Prompt,
        /,
        *,
        thread: AgentThread | None = None,
        background: bool = False,
        stream: Literal[False] = False,
    ) -> Coroutine[Any, Any, AgentResponse[Out]]: ...
    @overload
    def run(
        self,
        prompt: Prompt,
        /,
        *,
        thread: AgentThread | None = None,
        background: bool = False,
        stream: Literal[True],
    ) -> AsyncGenerator[AgentUpdate[Out], None]: ...
    @overload
    def run(
        self,
        /,
        *,
        continuation_token: ContinuationToken | Mapping[str, object],
        thread: AgentThread | None = None,
        stream: Literal[False] = False,
    ) -> Coroutine[Any, Any, AgentResponse[Out]]: ...
    @overload
    def run(
        self,
        /,
        *,
        continuation_token: ContinuationToken | Mapping[str, object],
        thread: AgentThread | None = None,
        stream: Literal[True],
    ) -> AsyncGenerator[AgentUpdate[Out], None]: ...
    def run(
        self,
        prompt: Prompt | None = None,
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
            responses = self._alone()
            return (
                self._stream(responses.stream(token), thread)
                if stream
                else self._ask(responses, token, thread)
            )
        request = self._parameters(
            plain_prompt(prompt, f"Agent {self.name!r}") if prompt else "",
            background=background,
            metadata={"agent": self.name},
            text=self._work.text,
            previous=thread.previous_response_id if thread else None,
        )
        key = str(uuid.uuid4())
        try:
            responses = self._alone()
        except ProviderUnavailableError as error:
            raise SubmissionRejectedError(str(error), code=error.code) from error
        if stream:
            return self._stream(responses.begin_stream(request, key), thread, resumable=background)
        return self._begin(responses, request, key, thread)

    def _alone(self) -> ResponsesOperation:
        """The adapter for what is asked outside of runs. Raises `ProviderUnavailableError` without a client for that."""
        if isinstance(self._responses, ResponsesPerContext):
            return self._responses.in_context(Context(run_id="", node=self.name, path=(), attempt=1))
        return self._responses

    async def _begin(
        self,
        responses: ResponsesOperation,
        request: Mapping[str, Json],
        key: str,
        thread: AgentThread | None,
    ) -> AgentResponse[Out]:
        token, state = await responses.begin(request, key)
        return self._answered(token, state, thread)

    async def _ask(
        self, responses: ResponsesOperation, token: ContinuationToken, thread: AgentThread | None
    ) -> AgentResponse[Out]:
        return self._answered(token, await responses.poll(token), thread)

    async def _stream(
        self,
        pieces: AsyncGenerator[StreamPiece, None],
        thread: AgentThread | None,
        *,
        resumable: bool = True,
    ) -> AsyncGenerator[AgentUpdate[Out], None]:
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
                    self._response(piece.token, piece.end)

    def _answered(
        self, token: ContinuationToken, outcome: Outcome, thread: AgentThread | None
    ) -> AgentResponse[Out]:
        """The response, and the thread moved on if it has completed."""
        response = self._response(token, outcome)
        if thread is not None and isinstance(outcome, Succeeded):
            match outcome.value:
                case {"previous_response_id": str() | None as after}:
                    thread.advance(response.id, after=after)
                case _:
                    pass
        return response

    def _response(self, token: ContinuationToken, outcome: Outcome) -> AgentResponse[Out]:
        return response_of(token, outcome, model=self.model, wait=self._responses.wait, read=self._read)

    def _parameters(
        self,
        prompt: Json,
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


def _responses(
    client: AsyncOpenAI | Callable[[Context], AsyncOpenAI] | None, polling: Polling, where: str
) -> ResponsesOperation:
    """The adapter with that client, with what chooses one, or with the default client."""
    if callable(client):
        return ResponsesPerContext(client, polling=polling)
    if client is not None and not is_client(client):
        raise NodeDefinitionError(
            f"{where}: client= takes an AsyncOpenAI, or a function that gives one, not a {type(client).__name__}."
        )
    return ResponsesOperation(client, polling=polling)

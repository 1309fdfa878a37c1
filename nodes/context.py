"""`Context`: what a running node may ask of its run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Never, Protocol, TypeVar, cast, overload

from typing_extensions import ParamSpec

from .errors import NotBuiltError, OutputUnavailableError, ResourceMissingError
from .node import Node as Node  # explicitly: `perdure.nodes` has it from here
from .node import Source

I = TypeVar("I")  # noqa: E741  # the input, beside O, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
D = TypeVar("D")


class Missing:
    """The type of `MISSING`: no default was given."""


MISSING: Final = Missing()


class OutputLoader(Protocol):
    """How the engine hands outputs to a context: decoded by the producer's type, loaded when asked for."""

    def __call__(self, node: Node[Never, object], default: object, /) -> object: ...


class InputLoader(Protocol):
    """How the engine hands the run's input to a context: decoded, loaded when asked for."""

    def __call__(self, workflow: Node[Any, Any], /) -> object: ...


NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
NO_RESOURCES: Final[Mapping[type, object]] = MappingProxyType({})


class Context:
    """Given to a node that asks for one with a parameter annotated `Context`, and to what chooses an agent's client."""

    __slots__ = (
        "_input",
        "_key",
        "_load",
        "_resources",
        "attempt",
        "labels",
        "node",
        "path",
        "run_id",
    )

    def __init__(
        self,
        *,
        run_id: str,
        node: str,
        path: tuple[int, ...],
        attempt: int,
        idempotency_key: str | None = None,
        load: OutputLoader | None = None,
        load_input: InputLoader | None = None,
        labels: Mapping[str, str] = NO_LABELS,
        resources: Mapping[type, object] = NO_RESOURCES,
    ) -> None:
        """Without a `load` and a key: what is known of a node beside its execution."""
        self.run_id: Final = run_id
        """The run's id; empty for an agent that is run alone."""
        self.node: Final = node
        """The name of the node that is running."""
        self.path: Final = path
        """Which items of the enclosing maps this is, outermost first; `()` outside of maps."""
        self.attempt: Final = attempt
        """1 for the first attempt, one more after each failure. A crash does not count as an attempt."""
        self.labels: Final = labels
        """What the run was started with, to find it by."""
        self._key = idempotency_key
        self._load = load
        self._input = load_input
        self._resources = resources

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and after every crash of this activation, different for all others.

        Give it to whatever the node does outside: a plain function runs at least once until its result is
        committed. Raises `OutputUnavailableError` in a function that chooses a client.
        """
        if self._key is None:
            raise self._not_running("its idempotency key")
        return self._key

    @overload
    def output(self, node: Source[T], /) -> T: ...
    @overload
    def output(self, node: Source[T], /, *, default: D) -> T | D: ...
    def output(self, node: Source[T], /, *, default: object = MISSING) -> object:
        """The output of an ancestor in the same or an enclosing scope, loaded now.

        Raises `OutputUnavailableError` when that node was skipped and no `default` is given. A node that is
        not upstream, or lies inside another scope, is an error at build where it can be seen, else here.
        """
        if self._load is None:
            raise self._not_running(f"the output of {node.name}")
        return self._load(node, default)

    def input(self, workflow: Node[S, object], /) -> S:
        """The input of the run, loaded now. `workflow` is the run's own, or the node that was started as one.

        Of a workflow that starts with an agent that is a `Prompt`, unless its annotation says that it is given text:
        `flow: Workflow[str, Reply] = Workflow(...)`. Then type checkers refuse to start it with anything else.
        Raises `OutputUnavailableError` when the run is one of another workflow.
        """
        if self._input is None:
            raise self._not_running("the run's input")
        return cast("S", self._input(workflow))

    def resource(self, kind: type[T], /) -> T:
        """What the executor was given under this type: a pool, a client, settings. Never stored.

        Raises `ResourceMissingError` when it was given none, or several that are one.
        """
        if kind in self._resources:
            return cast("T", self._resources[kind])
        fitting = [thing for thing in self._resources.values() if isinstance(thing, kind)]
        if len(fitting) == 1:
            return fitting[0]
        given = ", ".join(sorted(known.__qualname__ for known in self._resources)) or "nothing"
        problem = "several of the resources are" if fitting else "the executor has no resource that is"
        fix = (
            "ask for the class of one of them"
            if fitting
            else f"Executor(resources=[..., a {kind.__qualname__}])"
        )
        raise ResourceMissingError(
            f"Run {self.run_id}: {self.node} asks for a resource, but {problem} a {kind.__qualname__}. It was given: "
            f"{given}. The fix: {fix}."
        )

    def _not_running(self, what: str) -> OutputUnavailableError:
        run = f"Run {self.run_id}: {self.node}" if self.run_id else self.node
        return OutputUnavailableError(
            f"{run}: {what} is not there for a function that chooses a client, which may be asked when the run is not in "
            "memory. Choose by ctx.labels, ctx.run_id or ctx.node, out of what you have or ctx.resource(...) gives."
        )

    @overload
    def previous(self, node: Source[T], /) -> T | None: ...
    @overload
    def previous(self, node: Source[T], /, *, default: D) -> T | D: ...
    def previous(self, node: Source[Any], /, *, default: object = None) -> Any:
        """A node's output in the round before. Not built yet: raises `NotBuiltError`."""
        raise NotBuiltError(
            "`ctx.previous` is not built yet. Today: pass what the next round needs on as part of the value."
        )

    async def ask(self, node: Node[I, O], value: I, /, *, key: str | None = None) -> O:
        """Ask another node from within this one. Not built yet: raises `NotBuiltError`."""
        raise NotBuiltError(
            "`ctx.ask` is not built yet. Today: make the agent a node of the workflow and wire it with `edge`."
        )

    @overload
    async def step(
        self, key: str, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def step(self, key: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def step(self, key: str, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Any:
        """Call a function once and keep what it gave. Not built yet: raises `NotBuiltError`."""
        raise NotBuiltError(
            "`ctx.step` is not built yet. Today: make the function an `@node` of its own, whose output is kept."
        )

    async def emit(self, text: str, /) -> None:
        """Show text to the readers of the run. Not built yet: raises `NotBuiltError`."""
        raise NotBuiltError(
            "`ctx.emit` is not built yet. Today: log the text, or split the function into nodes, whose states are shown."
        )

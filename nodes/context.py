"""`Context`: what a running node may ask of its run."""

from __future__ import annotations

from typing import Final, Never, Protocol, TypeVar, overload

from .node import Node

T = TypeVar("T")
D = TypeVar("D")


class Missing:
    """The type of `MISSING`: no default was given."""


MISSING: Final = Missing()


class OutputLoader(Protocol):
    """How the engine hands outputs to a context: decoded by the producer's type, loaded when asked for."""

    def __call__(self, node: Node[Never, object], default: object, /) -> object: ...


class Context:
    """Given to a node that asks for one with a parameter annotated `Context`."""

    __slots__ = ("_load", "attempt", "idempotency_key", "node", "path", "run_id")

    def __init__(
        self,
        *,
        run_id: str,
        node: str,
        path: tuple[int, ...],
        attempt: int,
        idempotency_key: str,
        load: OutputLoader,
    ) -> None:
        self.run_id: Final = run_id
        """The run's id."""
        self.node: Final = node
        """The name of the node that is running."""
        self.path: Final = path
        """Which items of the enclosing maps this is, outermost first; `()` outside of maps."""
        self.attempt: Final = attempt
        """1 for the first attempt, one more after each failure. A crash does not count as an attempt."""
        self.idempotency_key: Final = idempotency_key
        """The same for every attempt and after every crash of this activation, different for all others.

        Give it to whatever the node does outside: a plain function runs at least once until its result is
        committed.
        """
        self._load = load

    @overload
    def output(self, node: Node[Never, T], /) -> T: ...
    @overload
    def output(self, node: Node[Never, T], /, *, default: D) -> T | D: ...
    def output(self, node: Node[Never, T], /, *, default: object = MISSING) -> object:
        """The output of an ancestor in the same or an enclosing scope, loaded now.

        Raises `OutputUnavailableError` when that node was skipped and no `default` is given. A node that is
        not upstream, or lies inside another scope, is an error at build where it can be seen, else here.
        """
        return self._load(node, default)

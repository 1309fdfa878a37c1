"""`Workflow`: nodes wired to a graph. Its wiring is checked when it is first used, in `_checks.py`."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Never, Self, TypeVar, overload

from ...checkpoints.records import PlanRecord
from ...nodes.node import In, Node, Out
from ..core.plan import EdgeKind, OnFailure, Plan, PlanEdge
from ..errors import WorkflowFrozenError, WorkflowInvalidError
from ._draft import AnyNode, Draft
from .plan_form import plan_record

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")


class Workflow(Node[In, Out]):
    """A directed graph of nodes from `start` to `end`. Values flow along its edges.

    It is checked and frozen at first use or by `check`: then wiring it further is a `WorkflowFrozenError`.
    """

    kind: ClassVar[str] = "workflow"

    def __init__(
        self,
        name: str,
        *,
        start: Node[In, object],
        end: Node[Never, Out],
        on_failure: OnFailure = "cancel",
    ) -> None:
        """`on_failure` says what becomes of activations that are under way when another one fails: `"cancel"` them,
        at their providers too, or let them `"finish"` before the run ends as failed.

        Raises `WorkflowInvalidError` when `start` or `end` is not a node.
        """
        super().__init__(name, input=object, output=object)  # the properties below say what they are
        self._on_failure: OnFailure = on_failure
        self._nodes: dict[str, AnyNode] = {}
        self._edges: list[PlanEdge] = []
        self._whens: list[Callable[[Any], bool] | None] = []
        self._places: list[str] = []
        self._discarded: dict[str, str] = {}
        self._concurrency: dict[str, int] = {}
        self._clashes: list[str] = []
        self._plan: Plan | None = None
        self._record: PlanRecord | None = None
        self._start = self._known(start)
        self._end = self._known(end)

    # -- wiring ------------------------------------------------------------------------------------------

    @overload
    def edge(
        self, source: Node[Never, T], target: Node[T, object], /, *, when: Callable[[T], bool] | None = None
    ) -> None: ...
    @overload
    def edge(
        self, source: Node[Never, T], target: Node[T, object], /, *, otherwise: Literal[True]
    ) -> None: ...
    def edge(
        self,
        source: Node[Never, Any],
        target: Node[Any, object],
        /,
        *,
        when: Callable[[Any], bool] | None = None,
        otherwise: bool = False,
    ) -> None:
        """The target gets the source's output.

        With `when`, a plain and pure function of that output, only if it is true; every edge whose `when` is
        true fires. With `otherwise=True`, only if no `when` of the source was true.
        """
        if when is not None and otherwise:
            self._refuse(
                "edge", "give `when` or `otherwise=True`, not both: an otherwise fires when no `when` did."
            )
        if when is not None and (not callable(when) or inspect.iscoroutinefunction(when)):
            self._refuse("edge", f"`when` must be a plain function of {source.name}'s output, not {when!r}.")
        self._add(EdgeKind.PLAIN, source, target, when=when, otherwise=otherwise)

    def map(
        self, source: Node[Never, list[T]], target: Node[T, object], /, *, concurrency: int | None = None
    ) -> None:
        """One activation of the target per item of the source's list, at most `concurrency` under way at once.

        What follows the target runs per item too, until a `collect` or a `discard`.
        """
        if concurrency is not None and concurrency < 1:
            self._refuse(
                "map",
                f"concurrency={concurrency}, but it counts activations under way: use 1 or more, or leave it out.",
            )
        self._add(EdgeKind.MAP, source, target, concurrency=concurrency)

    def collect(self, source: Node[Never, T], target: Node[list[T], object], /) -> None:
        """Close the innermost map: the target gets the list of the source's outputs, in item order.

        Items whose source was skipped are left out; if there is none at all, the list is empty.
        """
        self._add(EdgeKind.COLLECT, source, target)

    @overload
    def join(self, sources: tuple[Node[Never, T], ...], target: Node[tuple[T, ...], object], /) -> None: ...
    @overload
    def join(
        self, sources: tuple[Node[Never, A], Node[Never, B]], target: Node[tuple[A, B], object], /
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Node[Never, A], Node[Never, B], Node[Never, C]],
        target: Node[tuple[A, B, C], object],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Node[Never, A], Node[Never, B], Node[Never, C], Node[Never, D]],
        target: Node[tuple[A, B, C, D], object],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Node[Never, A], Node[Never, B], Node[Never, C], Node[Never, D], Node[Never, E]],
        target: Node[tuple[A, B, C, D, E], object],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[
            Node[Never, A], Node[Never, B], Node[Never, C], Node[Never, D], Node[Never, E], Node[Never, F]
        ],
        target: Node[tuple[A, B, C, D, E, F], object],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[
            Node[Never, A],
            Node[Never, B],
            Node[Never, C],
            Node[Never, D],
            Node[Never, E],
            Node[Never, F],
            Node[Never, G],
        ],
        target: Node[tuple[A, B, C, D, E, F, G], object],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[
            Node[Never, A],
            Node[Never, B],
            Node[Never, C],
            Node[Never, D],
            Node[Never, E],
            Node[Never, F],
            Node[Never, G],
            Node[Never, H],
        ],
        target: Node[tuple[A, B, C, D, E, F, G, H], object],
        /,
    ) -> None: ...
    def join(self, sources: tuple[Node[Never, Any], ...], target: Node[Any, object], /) -> None:
        """The target gets a tuple of all sources' outputs, in this order, as soon as each has run or was skipped.

        It runs if at least one source ran; the position of one that was skipped holds None, which the
        target's annotation must allow. A source may lie in a map that encloses the target's, in no other.
        """
        if not isinstance(sources, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]  # of untyped callers
            self._refuse(
                "join", "give the sources as a tuple, `join((a, b), c)`: positions get their types from it."
            )
        if len(sources) < 2:
            self._refuse("join", f"it needs two sources or more, not {len(sources)}. For one, use `edge`.")
        self._changing()
        for one in (*sources, target):  # before the first edge: a refused join leaves no edge behind
            self._known(one)
        for position, source in enumerate(sources):
            self._add(EdgeKind.JOIN, source, target, position=position)

    def discard(self, node: Node[Never, object], /) -> None:
        """Say that the workflow may end at this node: its output goes nowhere, or no edge of it may fire."""
        self._changing()
        self._discarded.setdefault(self._known(node), self._place())

    # -- use ---------------------------------------------------------------------------------------------

    def check(self) -> Self:
        """Check the wiring and freeze it. Raises `WorkflowInvalidError` with all the problems that it finds."""
        _ = self.plan
        return self

    @property
    def plan(self) -> Plan:
        """The checked workflow as data. Asking for it checks and freezes the wiring, and raises as `check` does."""
        if self._plan is None:
            from ._checks import (
                check,  # imported with the first workflow: it is a third of the package's start-up
            )

            self._plan = check(
                Draft(
                    name=self.name,
                    start=self._start,
                    end=self._end,
                    nodes=self._nodes,
                    edges=self._edges,
                    places=self._places,
                    discarded=self._discarded,
                    clashes=self._clashes,
                    on_failure=self._on_failure,
                )
            )
        return self._plan

    @property
    def signature(self) -> str:
        """16 hex digits, equal for workflows of the same shape: policies and the bodies of functions don't count.

        Raises as `check` does.
        """
        return self.plan_record.signature

    @property
    def plan_record(self) -> PlanRecord:
        """The plan as it is stored. Raises as `check` does."""
        if self._record is None:
            self._record = plan_record(self.plan)
        return self._record

    def concurrency(self, target: str) -> int | None:
        """How many activations of a map's target may be under way at once; None where that is not limited."""
        return self._concurrency.get(target)

    def node(self, name: str) -> AnyNode:
        """The node of that name. Raises `KeyError` when the workflow has none."""
        return self._nodes[name]

    def when(self, edge: int) -> Callable[[Any], bool] | None:
        """The condition of the edge with that index in the plan, None where it has none."""
        return self._whens[edge]

    @property
    def input(self) -> object:
        """The type that a run is started with."""
        return self._nodes[self._start].input

    @property
    def output(self) -> object:
        """The type of a run's result."""
        return self._nodes[self._end].output

    def named(self, name: str) -> Self:
        """A copy under another name, wired as this workflow is now. It can be wired further."""
        copy = super().named(name)
        for attribute in ("_nodes", "_edges", "_whens", "_places", "_discarded", "_concurrency", "_clashes"):
            setattr(copy, attribute, getattr(self, attribute).copy())
        copy._plan = None
        copy._record = None
        return copy

    def with_nodes(self, nodes: Sequence[AnyNode]) -> Self:
        """The same workflow, checked, with these nodes in the places of those that bear their names. For tests.

        Each must take and give the types of the one whose place it takes: the wiring is not checked again. Raises `KeyError` for
        a name that the workflow does not have.
        """
        twin = self.named(self.name)
        for node in nodes:
            _ = self._nodes[node.name]
            twin._nodes[node.name] = node
        twin._plan, twin._record = self.plan, self.plan_record
        return twin

    # -- bookkeeping -------------------------------------------------------------------------------------

    def _add(
        self,
        kind: EdgeKind,
        source: Node[Never, Any],
        target: Node[Any, object],
        *,
        when: Callable[[Any], bool] | None = None,
        otherwise: bool = False,
        position: int = 0,
        concurrency: int | None = None,
    ) -> None:
        self._changing()
        edge = PlanEdge(
            index=len(self._edges),
            kind=kind,
            source=self._known(source),
            target=self._known(target),
            conditional=when is not None,
            otherwise=otherwise,
            position=position,
        )
        self._edges.append(edge)
        if concurrency is not None:
            self._concurrency[edge.target] = concurrency
        self._whens.append(when)
        self._places.append(self._place())

    def _known(self, node: Node[Never, Any] | Node[Any, object]) -> str:
        """The name of the node, which is in the workflow from now on. Two different nodes of one name are a clash."""
        if not isinstance(node, Node):  # pyright: ignore[reportUnnecessaryIsInstance]  # of untyped callers
            name = getattr(node, "__name__", repr(node))
            self._refuse(
                "nodes", f"{name} is not a node. Decorate the function with `@node` or an agent's `.node`."
            )
        known = self._nodes.setdefault(node.name, node)
        if known is not node:
            clash = (
                f"two different nodes are named {node.name!r}, and a name is a node's identity. Rename one where it is "
                f"used: `{node.name}.named('...')`, once, and wire what it returns."
            )
            if clash not in self._clashes:
                self._clashes.append(clash)
        return node.name

    def _changing(self) -> None:
        if self._plan is not None:
            raise WorkflowFrozenError(
                f"Workflow {self.name!r} was checked or used already and can't be wired any further. "
                f"Wire it fully first, or go on with a copy: `{self.name}.named('...')`."
            )

    def _place(self) -> str:
        """Where the user's code wires: file and line of the first caller outside this file."""
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        while frame.f_back is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"

    def _refuse(self, what: str, problem: str) -> Never:
        raise WorkflowInvalidError(self.name, (f"{what} ({self._place()}): {problem}",))

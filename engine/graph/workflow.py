"""`Workflow`: nodes wired to a graph. Its wiring is checked when it is first used, in `_checks.py`."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Never, Protocol, Self, TypeVar, Union, get_args, overload

from ...checkpoints.records import PlanRecord
from ...nodes.errors import NotBuiltError
from ...nodes.failure import Failure
from ...nodes.node import In, Node, Out, Source, Target
from ..core.plan import EdgeKind, OnFailure, Plan, PlanEdge
from ..errors import WorkflowFrozenError, WorkflowInvalidError
from ._draft import AnyNode, Draft
from .each import EachNode
from .mermaid import draw
from .plan_form import plan_record
from .switch import Switch, shown

T = TypeVar("T")
S = TypeVar("S")
K = TypeVar("K", bound=Hashable)
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")


_ALONE = "_as_workflow"


class Items(Protocol[Out]):
    """A list, covariantly: `list[T]` matches; `str`, `dict`, `set` and `tuple` do not."""

    def __iter__(self) -> Iterator[Out]:
        """As that of a list."""
        ...

    def reverse(self) -> None:
        """As that of a list."""
        ...


class Workflow(Node[In, Out]):
    """A directed graph of nodes from `start` to `end`. Values flow along its edges.

    It is checked and frozen at first use or by `check`: then wiring it further is a `WorkflowFrozenError`.
    """

    kind: ClassVar[str] = "workflow"

    @overload
    def __init__(
        self, name: str, *, start: Node[In, object], end: Source[Out], on_failure: OnFailure = "finish"
    ) -> None: ...
    @overload
    def __init__(
        self: Workflow[S, T1 | T2],
        name: str,
        *,
        start: Node[S, object],
        end: tuple[Source[T1], Source[T2]],
        on_failure: OnFailure = "finish",
    ) -> None: ...
    @overload
    def __init__(
        self: Workflow[S, T1 | T2 | T3],
        name: str,
        *,
        start: Node[S, object],
        end: tuple[Source[T1], Source[T2], Source[T3]],
        on_failure: OnFailure = "finish",
    ) -> None: ...
    @overload
    def __init__(
        self: Workflow[S, T1 | T2 | T3 | T4],
        name: str,
        *,
        start: Node[S, object],
        end: tuple[Source[T1], Source[T2], Source[T3], Source[T4]],
        on_failure: OnFailure = "finish",
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        start: Node[In, object],
        end: tuple[Source[Out], ...],
        on_failure: OnFailure = "finish",
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        start: Node[Any, object],
        end: Source[Any] | tuple[Source[Any], ...],
        on_failure: OnFailure = "finish",
    ) -> None:
        """`end` is one node or a tuple of alternatives: of those that are reached the first gives the result, and the
        run fails when all are skipped. `on_failure` says what becomes of activations that are under way when another
        one fails: they `"finish"` before the run ends as failed, or are cancelled (`"cancel"`), at their providers too.

        Raises `WorkflowInvalidError` when `start` or an end is not a node, or an end is given twice. A workflow as a
        node of another is not built yet: here and where nodes are wired it is a `NotBuiltError`.
        """
        super().__init__(name, input=object, output=object)  # the properties below say what they are
        if on_failure not in get_args(OnFailure):
            self._refuse("on_failure", f"it is one of {', '.join(get_args(OnFailure))}, not {on_failure!r}.")
        self._on_failure: OnFailure = on_failure
        self._nodes: dict[str, AnyNode] = {}
        self._edges: list[PlanEdge] = []
        self._whens: list[Callable[[Any], bool] | None] = []
        self._places: list[str] = []
        self._discarded: dict[str, str] = {}
        self._switches: dict[str, Switch] = {}
        self._concurrency: dict[str, int] = {}
        self._clashes: list[str] = []
        self._plan: Plan | None = None
        self._record: PlanRecord | None = None
        self._start = self._known(start)
        self._ends = tuple(self._known(one) for one in (end if isinstance(end, tuple) else (end,)))
        if not self._ends or len(set(self._ends)) < len(self._ends):
            self._refuse("end", "give one node, or a tuple of different ones.")

    # -- wiring ------------------------------------------------------------------------------------------

    @overload
    def edge(
        self, source: Source[T], target: Target[T], /, *, when: Callable[[T], bool] | None = None
    ) -> None: ...
    @overload
    def edge(self, source: Source[T], target: Target[T], /, *, otherwise: Literal[True]) -> None: ...
    def edge(
        self,
        source: Source[Any],
        target: Target[Any],
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

    def switch(self, source: Source[T], key: Callable[[T], K], targets: Mapping[K, Target[T]], /) -> None:
        """The target of the case that `key`, a plain and pure function of the source's output, gives; no other.

        A value that no case has fails the run, unless the source has an `otherwise` edge or is discarded. A case that
        a key annotated to return a `Literal`, an enum or a bool can't give is refused by `check`.
        """
        if not callable(key) or inspect.iscoroutinefunction(key):
            self._refuse(
                "switch", f"its key must be a plain function of {source.name}'s output, not {key!r}."
            )
        if not targets:
            self._refuse("switch", "it has no case. Give a dict of values and targets, `{value: node}`.")
        self._changing()
        name = self._known(source)
        if name in self._switches:
            self._refuse("switch", f"{name} has a switch already. Put all cases into one.")
        values: dict[str, list[Hashable]] = {}
        nodes: dict[str, Target[T]] = {}
        for value, target in targets.items():  # before the first edge: a refused switch leaves none behind
            values.setdefault(self._known(target), []).append(value)
            nodes[target.name] = target
        cases: dict[Hashable, int] = {}
        for chosen, those in values.items():
            cases.update(dict.fromkeys(those, len(self._edges)))
            self._add(EdgeKind.PLAIN, source, nodes[chosen], case=", ".join(map(shown, those)))
        self._switches[name] = Switch(key=key, cases={value: cases[value] for value in targets})

    def discard(self, source: Source[object], /) -> None:
        """Say that the workflow may end at this node: its output goes nowhere, or no edge of it may fire."""
        self._changing()
        self._discarded.setdefault(self._known(source), self._place())

    @overload
    def map(
        self, source: Source[list[T]], target: Target[T], /, *, concurrency: int | None = None
    ) -> None: ...
    @overload
    def map(
        self,
        source: Source[S],
        target: Target[T],
        /,
        *,
        each: Callable[[S], Items[T]],
        concurrency: int | None = None,
    ) -> None: ...
    def map(
        self,
        source: Source[Any],
        target: Target[Any],
        /,
        *,
        each: Callable[[Any], Items[Any]] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """One activation of the target per item of the source's list, at most `concurrency` under way at once.

        With `each`, a plain and pure function, per item of the list that it makes of the source's output; it is
        evaluated once, and its list stored as the output of a node of its own, `<target>.items`.
        What follows the target runs per item too, until a `collect` or a `discard`.
        """
        if concurrency is not None and (
            type(concurrency) is not int or concurrency < 1
        ):  # True is no number here
            self._refuse(
                "map",
                f"concurrency={concurrency}, but it counts activations under way: use 1 or more, or leave it out.",
            )
        if each is None:
            self._add(EdgeKind.MAP, source, target, concurrency=concurrency)
            return
        if not callable(each) or inspect.iscoroutinefunction(each):
            self._refuse("map", f"`each` must be a plain function of {source.name}'s output, not {each!r}.")
        self._changing()
        self._known(source)
        self._known(target)
        items = EachNode(source, target, each)
        self._add(EdgeKind.PLAIN, source, items)
        self._add(EdgeKind.MAP, items, target, concurrency=concurrency)

    def collect(
        self,
        source: Source[T],
        target: Target[list[T]],
        /,
        *,
        quorum: float | None = None,
        rest: OnFailure = "cancel",
    ) -> None:
        """Close the innermost map: the target gets the list of the source's outputs, in item order.

        Items whose source was skipped are left out; if there is none at all, the list is empty. `quorum` and `rest`
        are not built yet.
        """
        if quorum is not None or rest != "cancel":
            raise NotBuiltError(
                "`collect(quorum=, rest=)` is not built yet. Today: collect all items, and let a node that may fail "
                "return what stands for a failure instead of raising."
            )
        self._add(EdgeKind.COLLECT, source, target)

    @overload
    def join(self, sources: tuple[Source[T1], Source[T2]], target: Target[tuple[T1, T2]], /) -> None: ...
    @overload
    def join(
        self, sources: tuple[Source[T1], Source[T2], Source[T3]], target: Target[tuple[T1, T2, T3]], /
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Source[T1], Source[T2], Source[T3], Source[T4]],
        target: Target[tuple[T1, T2, T3, T4]],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Source[T1], Source[T2], Source[T3], Source[T4], Source[T5]],
        target: Target[tuple[T1, T2, T3, T4, T5]],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Source[T1], Source[T2], Source[T3], Source[T4], Source[T5], Source[T6]],
        target: Target[tuple[T1, T2, T3, T4, T5, T6]],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[Source[T1], Source[T2], Source[T3], Source[T4], Source[T5], Source[T6], Source[T7]],
        target: Target[tuple[T1, T2, T3, T4, T5, T6, T7]],
        /,
    ) -> None: ...
    @overload
    def join(
        self,
        sources: tuple[
            Source[T1], Source[T2], Source[T3], Source[T4], Source[T5], Source[T6], Source[T7], Source[T8]
        ],
        target: Target[tuple[T1, T2, T3, T4, T5, T6, T7, T8]],
        /,
    ) -> None: ...
    @overload
    def join(self, sources: tuple[Source[T], ...], target: Target[tuple[T, ...]], /) -> None: ...
    def join(self, sources: tuple[Source[Any], ...], target: Target[Any], /) -> None:
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

    def first(
        self,
        sources: Source[T] | tuple[Source[T], ...],
        target: Target[T],
        /,
        *,
        when: Callable[[T], bool] | None = None,
        rest: OnFailure = "cancel",
    ) -> None:
        """Not built yet: the target gets the output of the source that is ready first."""
        raise NotBuiltError(
            "`first` is not built yet. Today: let one function node call the alternatives and return the first answer."
        )

    def allow_failure(self, source: Source[object], /) -> None:
        """Not built yet: a failure of this node or item counts as a skip."""
        raise NotBuiltError(
            "`allow_failure` is not built yet. Today: let the node return None instead of raising, and give agents "
            "`retries`; a run that failed keeps what succeeded and goes on with `perdure retry`."
        )

    def catch(self, source: Source[object], handler: Target[Failure], /) -> None:
        """Not built yet: the handler gets the failure of the source."""
        raise NotBuiltError(
            "`catch` is not built yet. Today: let the node return what it could not do, and lead on with "
            "`edge(…, when=…)`."
        )

    @overload
    def loop(
        self,
        tail: Source[T],
        head: Target[T],
        /,
        *,
        when: Callable[[T], bool],
        max_iterations: int,
        on_limit: Target[T] | None = None,
    ) -> None: ...
    @overload
    def loop(
        self,
        tail: Source[T],
        head: Target[S],
        /,
        *,
        when: Callable[[T], bool],
        feed: Callable[[T], S],
        max_iterations: int,
        on_limit: Target[T] | None = None,
    ) -> None: ...
    def loop(
        self,
        tail: Source[Any],
        head: Target[Any],
        /,
        *,
        when: Callable[[Any], bool],
        feed: Callable[[Any], Any] | None = None,
        max_iterations: int,
        on_limit: Target[Any] | None = None,
    ) -> None:
        """Not built yet: go back from the tail to the head while `when` is true."""
        raise NotBuiltError(
            "`loop` is not built yet. Today: wire each round with copies of the nodes (`node.named('draft-2')`), or "
            "loop inside one function node."
        )

    def as_child_run(self) -> Node[In, Out]:
        """Not built yet: this workflow as a node that starts a run of its own."""
        raise NotBuiltError(
            "`as_child_run` is not built yet. Today: start the run with `executor.start(...)` from your own code, or "
            "wire the nodes into one workflow."
        )

    # -- use ---------------------------------------------------------------------------------------------

    def check(self) -> Self:
        """Check the wiring and freeze it. Raises `WorkflowInvalidError` with all the problems that it finds."""
        _ = self.plan
        return self

    @property
    def plan(self) -> Plan:
        """The checked workflow as data. Asking for it checks and freezes the wiring, and raises as `check` does."""
        if self._plan is None:
            self._plan = self._checked()
        return self._plan

    def mermaid(self) -> str:
        """A Mermaid flowchart (https://mermaid.js.org) of the workflow. Raises as `check` does, but freezes nothing."""
        plan = self._plan or self._checked()
        return "\n".join(draw(plan, concurrency=self._concurrency)) + "\n"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """The picture that notebooks show, or what is wrong with the wiring so far."""
        try:
            chart = self.mermaid()
        except WorkflowInvalidError as error:
            return {"text/plain": f"{self!r}\n{error}"}
        return {
            "text/plain": repr(self),
            "text/vnd.mermaid": chart,
            "text/markdown": f"```mermaid\n{chart}```\n",
        }

    def _checked(self) -> Plan:
        from ._checks import (
            check,  # imported with the first workflow: it is a third of the package's start-up
        )

        return check(
            Draft(
                name=self.name,
                start=self._start,
                ends=self._ends,
                nodes=self._nodes,
                edges=self._edges,
                places=self._places,
                discarded=self._discarded,
                switches=self._switches,
                clashes=self._clashes,
                on_failure=self._on_failure,
            )
        )

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

    @property
    def start(self) -> AnyNode:
        """The node that gets the input of a run."""
        return self._nodes[self._start]

    def node(self, name: str) -> AnyNode:
        """The node of that name. Raises `KeyError` when the workflow has none."""
        return self._nodes[name]

    def when(self, edge: int) -> Callable[[Any], bool] | None:
        """The condition of the edge with that index in the plan, None where it has none."""
        return self._whens[edge]

    def switch_of(self, source: str) -> Switch | None:
        """The switch of the node with that name, None where it has none."""
        return self._switches.get(source)

    @property
    def input(self) -> object:
        """The type that a run is started with."""
        return self._nodes[self._start].input

    @property
    def output(self) -> object:
        """The type of a run's result: the union of what the ends give."""
        return Union[tuple(self._nodes[end].output for end in self._ends)]  # noqa: UP007  # made at run time

    def named(self, name: str) -> Self:
        """A copy under another name, wired as this workflow is now. It can be wired further."""
        copy = super().named(name)
        for attribute in (
            "_nodes",
            "_edges",
            "_whens",
            "_places",
            "_discarded",
            "_switches",
            "_concurrency",
            "_clashes",
        ):
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
        case: str | None = None,
        position: int = 0,
        concurrency: int | None = None,
    ) -> None:
        self._changing()
        self._require_node(target)  # before the source is added: a refused edge leaves nothing behind
        edge = PlanEdge(
            index=len(self._edges),
            kind=kind,
            source=self._known(source),
            target=self._known(target),
            conditional=when is not None or case is not None,
            otherwise=otherwise,
            case=case,
            position=position,
        )
        self._edges.append(edge)
        if concurrency is not None:
            self._concurrency[edge.target] = concurrency
        self._whens.append(when)
        self._places.append(self._place())

    def _require_node(self, node: Node[Never, Any] | Node[Any, object]) -> None:
        """Raise `WorkflowInvalidError` for what is no node, `NotBuiltError` for a workflow."""
        if not isinstance(node, Node):  # pyright: ignore[reportUnnecessaryIsInstance]  # of untyped callers
            name = getattr(node, "__name__", repr(node))
            self._refuse(
                "nodes", f"{name} is not a node. Decorate the function with `@node` or an agent's `.node`."
            )
        if isinstance(node, Workflow):
            raise NotBuiltError(
                f"Workflow {self.name!r} ({self._place()}): {node.name} is a workflow, and a workflow as a node of another "
                "is not built yet. Today: wire its nodes into this one."
            )

    def _known(self, node: Node[Never, Any] | Node[Any, object]) -> str:
        """The name of the node, which is in the workflow from now on. Two different nodes of one name are a clash."""
        self._require_node(node)
        known = self._nodes.setdefault(node.name, node)
        if known is not node:
            clash = _clash(known, node)
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


def _clash(known: AnyNode, node: AnyNode) -> str:
    """What is wrong where two different nodes bear one name."""
    each = next((one for one in (node, known) if isinstance(one, EachNode)), None)
    if each is None:
        return (
            f"two different nodes are named {node.name!r}, and a name is a node's identity. Rename one where it is "
            f"used: `{node.name}.named('...')`, once, and wire what it returns."
        )
    if isinstance(known, EachNode) and isinstance(node, EachNode):
        return (
            f"{each.target} is the target of two maps with `each`, from {known.source} and from {node.source}. A map must "
            f"be its target's only edge: give each its own node with `{each.target}.named('...')`."
        )
    return (
        f"a node is named {each.name!r}, the name under which the list of the map {each.source} -> {each.target} is "
        f"stored. Rename that node, or {each.target}, with `named('...')`, once, and wire what it returns."
    )


def as_workflow(node: Node[In, Out]) -> Workflow[In, Out]:
    """A workflow as it is; any other node as a workflow of that node alone, under its name, always the same one."""
    if isinstance(node, Workflow):
        return node  # pyright: ignore[reportUnknownVariableType]  # its arguments are the node's
    kept = vars(node)  # on the node, which a dictionary of workflows would keep alive
    alone: Workflow[In, Out] | None = kept.get(_ALONE)
    if alone is None or alone.start is not node:  # `named` copies what a node holds
        alone = kept[_ALONE] = Workflow(node.name, start=node, end=node)
    return alone

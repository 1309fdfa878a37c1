"""Values on their way: what an activation is given, decoded by the type of whoever produced it.

Outputs are kept encoded. Every consumer gets a value of its own, decoded from the bytes that were committed,
so that a resumed run can't differ from one that was not interrupted. What was produced here lately is kept
in memory, within a budget; everything else is read from the store when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..checkpoints import ActivationKey, ActivationState, Store, Value, join, split
from ..nodes import Node, OutputUnavailableError
from ..nodes.context import MISSING
from .errors import AmbiguousInputError
from .events import Address
from .plan import EdgeKind, PlanEdge
from .scheduler import inputs
from .state import State

if TYPE_CHECKING:
    from .graph import Workflow

_NOTHING: dict[ActivationKey, Value] = {}


class Budget:
    """How many bytes of encoded values may be kept in memory, over all runs of an executor."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Values:
    """The values of one run."""

    __slots__ = (
        "_budget",
        "_input",
        "_items",
        "_kept",
        "_kept_bytes",
        "_run",
        "_state",
        "_store",
        "_workflow",
    )

    def __init__(
        self, *, store: Store, run: int, state: State, workflow: Workflow[Any, Any] | None, budget: Budget
    ) -> None:
        self._store = store
        self._run = run
        self._state = state
        self._workflow = workflow
        self._budget = budget
        self._kept: dict[int, dict[ActivationKey, Value]] = {}  # by scope
        self._kept_bytes = 0
        self._input: Value | None = None
        self._items: dict[ActivationKey, list[bytes]] = {}

    def _node(self, name: str) -> Node[Any, Any]:
        assert self._workflow is not None, "values are decoded by the workflow's types, and it is not here"
        return self._workflow.node(name)

    def born(self, run: int, value: Value) -> None:
        """The run was inserted under this key, with this input."""
        self._run, self._input = run, value

    def keep(self, key: ActivationKey, value: Value) -> None:
        """Remember an output for its consumers, if there is room."""
        size = len(value.data)
        if self._budget.used + size <= self._budget.limit:
            self._kept.setdefault(key.scope, {})[key] = value
            self._kept_bytes += size
            self._budget.used += size

    def kept(self, key: ActivationKey) -> Value | None:
        """An output that is in memory."""
        return self._kept.get(key.scope, _NOTHING).get(key)

    def forget(self) -> None:
        """Give the memory back."""
        self._budget.used -= self._kept_bytes
        self._kept_bytes = 0
        self._kept.clear()
        self._items.clear()

    def forget_scope(self, number: int) -> None:
        """A scope was closed: nobody asks for what lies in it but its collectors, who read it from the store."""
        for key, value in self._kept.pop(number, _NOTHING).items():
            self._kept_bytes -= len(value.data)
            self._budget.used -= len(value.data)
            self._items.pop(key, None)

    async def output(self, key: ActivationKey) -> Value:
        """An encoded output."""
        value = self.kept(key)
        if value is None:
            value = await self._store.result(self._run, key)
            assert value is not None, f"{key} has no output"
        return value

    async def input(self, address: Address) -> tuple[Any, Value | None]:
        """What the activation is given, and the encoded value if it is handed on whole.

        Raises `AmbiguousInputError` when alternatives were taken together.
        """
        plan = self._state.plan
        if address.node == plan.start:
            value = self._input or await self._store.input(self._run)
            self._input = None
            return self._node(plan.start).input_codec.decode(value.data), value
        edges = plan.incoming[address.node]
        if edges[0].kind is EdgeKind.JOIN:
            return await self._tuple(address, inputs(self._state, address)), None
        if len(edges) > 1:  # alternatives; a single edge has delivered, or this would not have started
            edges = inputs(self._state, address)
        edge = next(iter(edges))
        if len(edges) > 1:
            sources = " and ".join(edge.source for edge in edges)
            raise AmbiguousInputError(
                f"{address} was given a value by {sources}, and can take one. Use join(({sources.replace(' and ', ', ')}), "
                f"{address.node}) if it wants them together, or conditions of which one is true."
            )
        source = self._node(edge.source)
        match edge.kind:
            case EdgeKind.COLLECT:
                assert edge.scope is not None
                number = self._state.numbers[edge.scope, address.path]
                outputs = await self._store.results(self._run, number, edge.source)
                return [source.output_codec.decode(value.data) for _, value in outputs], None
            case EdgeKind.MAP:
                key = self._state.key(Address(edge.source, address.path[:-1]))
                item = (await self.items(key))[address.path[-1]]
                return source.output_codec.decode(join([item]))[0], None
            case _:
                value = await self.output(self._state.key(Address(edge.source, address.path)))
                return source.output_codec.decode(value.data), value

    async def items(self, key: ActivationKey) -> list[bytes]:
        """The encoded items of an output that is a list, taken apart once for all that are mapped over it."""
        items = self._items.get(key)
        if items is None:
            items = split((await self.output(key)).data)
            self._items[key] = items
        return items

    def count(self, key: ActivationKey, value: Value) -> int:
        """The length of an output that is a list; its items are kept for those that are mapped over it."""
        items = self._items[key] = split(value.data)
        return len(items)

    async def _tuple(self, address: Address, edges: tuple[PlanEdge, ...]) -> tuple[Any, ...]:
        plan = self._state.plan
        given = {edge.position: edge for edge in edges}
        items: list[Any] = []
        for position in range(len(plan.incoming[address.node])):
            edge = given.get(position)
            if edge is None:
                items.append(None)
                continue
            depth = plan.scopes[plan.node[edge.source].scope].depth
            value = await self.output(self._state.key(Address(edge.source, address.path[:depth])))
            items.append(self._node(edge.source).output_codec.decode(value.data))
        return tuple(items)

    def output_now(self, address: Address, node: Node[Any, Any], default: object) -> object:
        """What `Context.output` gives to the activation at `address`. May be called from any thread."""
        plan, name = self._state.plan, node.name
        if name not in _ancestors(plan.incoming, address.node):
            raise OutputUnavailableError(
                f"{address} asks for the output of {name}, which is not upstream of it in workflow "
                f"{plan.workflow}: add an edge (or a join) from {name}, or don't ask for it."
            )
        scope = plan.scopes[plan.node[name].scope]
        own = plan.node[address.node].scope
        while own != scope.index:
            parent = plan.scopes[own].parent
            if parent is None:
                raise OutputUnavailableError(
                    f"{address} asks for the output of {name}, which lies inside a map that {address.node} is not in: "
                    f"collect it."
                )
            own = parent
        source = Address(name, address.path[: scope.depth])
        activation = self._state.find(source)
        if activation is None or activation.state is not ActivationState.SUCCEEDED:
            if default is MISSING:
                raise OutputUnavailableError(
                    f"{address} asks for the output of {source}, which was skipped: ask with default=…"
                )
            return default
        key = self._state.key(source)
        value = self.kept(key) or self._store.result_now(self._run, key)
        assert value is not None, f"{source} has no output"
        return self._node(name).output_codec.decode(value.data)


def _ancestors(incoming: Mapping[str, tuple[PlanEdge, ...]], node: str) -> set[str]:
    found: set[str] = set()
    rest = [node]
    while rest:
        for edge in incoming[rest.pop()]:
            if edge.source not in found:
                found.add(edge.source)
                rest.append(edge.source)
    return found

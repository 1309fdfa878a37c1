"""Values on their way: what an activation is given, decoded by the type of whoever produced it.

Outputs are kept encoded. Every consumer gets a value of its own, decoded from the bytes that were committed, so that a
resumed run can't differ from one that was not interrupted. Which values these are is the core's (`core.sources`). What
was produced here lately is kept in memory, within a budget; everything else is read from the store when it is asked for.
"""

from __future__ import annotations

from typing import Any, assert_never

from ...checkpoints.codec import join, split
from ...checkpoints.records import ActivationKey, Value, ValueRef
from ...checkpoints.store import Store
from ...nodes.context import MISSING
from ...nodes.errors import OutputUnavailableError
from ...nodes.node import Node
from ..core.addresses import Address
from ..core.sources import (
    Absent,
    Ambiguous,
    Collected,
    Hidden,
    Item,
    Joined,
    RunInput,
    Whole,
    given,
    visible,
)
from ..core.state import RunState
from ..errors import AmbiguousInputError
from ..graph import Workflow
from ._views import Views

_NOTHING: dict[ActivationKey, Value] = {}

IN_MEMORY = 64 * 1024 * 1024
"""Bytes of encoded values that an executor keeps in memory for consumers to come."""


class Budget:
    """How many bytes of encoded values may be kept in memory, over all runs of an executor."""

    def __init__(self, limit: int = IN_MEMORY) -> None:
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
        "_run_id",
        "_state",
        "_store",
        "_views",
        "_workflow",
    )

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        budget: Budget,
        run: int,
        run_id: str,
        state: RunState,
        workflow: Workflow[Any, Any] | None,
    ) -> None:
        self._store = store
        self._views = views
        self._run = run
        self._run_id = run_id
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

    def created(self, run: int, value: Value) -> None:
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

    async def stored(self, ref: ValueRef) -> Value | None:
        """A stored value, None where there is none."""
        return await self._store.read(lambda view: view.value(self._run, ref))

    async def output(self, key: ActivationKey) -> Value:
        """An encoded output."""
        value = self.kept(key) or await self.stored(key)
        assert value is not None, f"{key} has no output"
        return value

    async def input(self, address: Address) -> tuple[Any, Value | None]:
        """What the activation is given, and the encoded value if it is handed on whole.

        Raises `AmbiguousInputError` when alternatives were taken together.
        """
        source = given(self._state, address)
        match source:
            case Whole(name, key):
                value = await self.output(key)
                return self._node(name).output_codec.decode(value.data), value
            case Item(name, key, index):
                items = await self._items_of(key)
                return self._node(name).output_codec.decode(join([items[index]]))[0], None
            case Collected(name, scope):
                outputs = await self._store.read(lambda view: view.outputs(self._run, scope, name))
                decode = self._node(name).output_codec.decode
                return [decode(value.data) for _, value in outputs], None
            case Joined(positions):
                return tuple([await self._position(position) for position in positions]), None
            case RunInput():
                stored = self._input or await self.stored("input")
                assert stored is not None, "the run has no input"
                self._input = None
                return self._node(address.node).input_codec.decode(stored.data), stored
            case Ambiguous(sources):
                together = ", ".join(sources)
                raise AmbiguousInputError(
                    f"Run {self._run_id}: {address} was given a value by {' and '.join(sources)}, and can take one. Use "
                    f"join(({together}), {address.node}) if it wants them together, or conditions of which one is true."
                )
            case _:
                assert_never(source)

    async def _position(self, position: Whole | None) -> Any:
        if position is None:
            return None
        value = await self.output(position.key)
        return self._node(position.source).output_codec.decode(value.data)

    async def _items_of(self, key: ActivationKey) -> list[bytes]:
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

    def output_now(self, address: Address, node: Node[Any, Any], default: object) -> object:
        """What `Context.output` gives to the activation at `address`. May be called from any thread.

        Reads on a connection of its own, which no writer blocks.
        """
        source = visible(self._state, address, node.name)
        match source:
            case Hidden(reason):
                raise OutputUnavailableError(f"{address} asks for the output of {node.name}, {reason}")
            case Absent(skipped):
                if default is MISSING:
                    raise OutputUnavailableError(
                        f"{address} asks for the output of {skipped}, which was skipped: ask with default=…"
                    )
                return default
            case Whole(name, key):
                value = self.kept(key) or self._views.read(lambda view: view.value(self._run, key))
                assert value is not None, f"{name} has no output"
                return self._node(name).output_codec.decode(value.data)
            case _:
                assert_never(source)

    def run_input_now(self, address: Address, workflow: Node[Any, Any]) -> object:
        """What `Context.input` gives to the activation at `address`. May be called from any thread."""
        own = self._workflow
        assert own is not None, "values are decoded by the workflow's types, and it is not here"
        if workflow.name != own.name:
            raise OutputUnavailableError(
                f"Run {self._run_id}: {address} asks for the input of {workflow.name}, but the run is one of {own.name}: "
                "ask with ctx.input(the run's own workflow)."
            )
        value = self._input or self._views.read(lambda view: view.value(self._run, "input"))
        assert value is not None, "the run has no input"
        return own.input_codec.decode(value.data)

"""Random workflows of real functions, and what a run of one must come to, worked out without the engine.

`draw_plan` gives the shape. `Enacted` wires a `Workflow` of that shape whose nodes say where they are and what
they were given; `Expected` computes the same texts from the oracle's answers alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import GenericAlias
from typing import Any
from zlib import crc32

from perdure.engine import Workflow
from perdure.engine.core.addresses import Address
from perdure.engine.core.plan import EdgeKind, Plan, PlanEdge
from perdure.engine.core.policy import Policies
from perdure.nodes import Context, Node, node

from .oracle import Fact, Oracle, Verdict


@dataclass
class Behaviour:
    """What the functions do: how many items, which edges are taken, who fails first. All by `seed`."""

    seed: int
    failing: bool = False
    """Some activations raise at their first attempt."""
    ran: Counter[Address] = field(default_factory=Counter[Address])

    def roll(self, *what: object) -> int:
        """A number that depends on nothing but the seed and this."""
        return crc32(repr((self.seed, *what)).encode())

    def items(self, text: str) -> int:
        return self.roll("items", text) % 4

    def takes(self, edge: PlanEdge, value: object) -> bool:
        return self.roll("takes", edge.source, edge.target, edge.position, value) % 3 > 0

    def fails(self, address: Address) -> bool:
        return self.failing and self.roll("fails", *address) % 5 == 0


def is_mapped(plan: Plan, name: str) -> bool:
    """Whether the node gives a list."""
    return any(edge.kind is EdgeKind.MAP for edge in plan.outgoing[name])


def said(behaviour: Behaviour, plan: Plan, address: Address, given: object) -> str | list[str]:
    """A node's output. Both sides of the test share this line and nothing else."""
    text = f"{address}<{crc32(repr(given).encode()):08x}>"
    if is_mapped(plan, address.node):
        return [f"{text}.{item}" for item in range(behaviour.items(text))]
    return text


class Enacted:
    """The workflow. A plan that `Workflow` refuses raises `WorkflowInvalidError` when it is checked."""

    def __init__(self, plan: Plan, policies: Policies, behaviour: Behaviour) -> None:
        self.plan = plan
        self.behaviour = behaviour
        nodes = {each.name: self._node(each.name) for each in plan.nodes}
        self.workflow = Workflow[str, Any](
            "enacted",
            start=nodes[plan.start],
            end=tuple(nodes[end] for end in plan.ends),
            on_failure=plan.on_failure,
        )
        joined: set[str] = set()
        for edge in plan.edges:
            source, target = nodes[edge.source], nodes[edge.target]
            match edge.kind:
                case EdgeKind.MAP:
                    concurrency = policies.of(edge.target).concurrency
                    self.workflow.map(source, target, concurrency=concurrency)
                case EdgeKind.COLLECT:
                    self.workflow.collect(source, target)
                case EdgeKind.JOIN if edge.target not in joined:
                    joined.add(edge.target)
                    sources = tuple(nodes[other.source] for other in plan.incoming[edge.target])
                    self.workflow.join(sources, target)
                case EdgeKind.PLAIN if edge.otherwise:
                    self.workflow.edge(source, target, otherwise=True)
                case EdgeKind.PLAIN if edge.conditional:
                    self.workflow.edge(source, target, when=self._when(edge))
                case EdgeKind.PLAIN:
                    self.workflow.edge(source, target)
                case _:
                    pass
        for each in plan.nodes:
            ends = not plan.outgoing[each.name] and each.name not in plan.ends
            if ends or each.discarded:
                self.workflow.discard(nodes[each.name])

    def _when(self, edge: PlanEdge) -> Callable[[Any], bool]:
        return lambda value: self.behaviour.takes(edge, value)

    def _node(self, name: str) -> Node[Any, Any]:
        behaviour, plan = self.behaviour, self.plan

        def act(given: object, ctx: Context) -> object:
            address = Address(ctx.node, ctx.path)
            if behaviour.fails(address) and ctx.attempt == 1:
                raise ValueError(f"{address} fails first")
            behaviour.ran[address] += 1
            return said(behaviour, plan, address, given)

        async def act_async(given: Any, ctx: Context) -> Any:
            for _ in range(behaviour.roll("turns", ctx.node, ctx.path) % 4):
                await asyncio.sleep(0)
            return act(given, ctx)

        def act_plainly(given: Any, ctx: Context) -> Any:
            time.sleep(behaviour.roll("turns", ctx.node, ctx.path) % 4 * 0.0005)
            return act(given, ctx)

        chosen: Callable[..., Any] = act_plainly if behaviour.roll("plain", name) % 4 == 0 else act_async
        output = list[str] if is_mapped(plan, name) else str
        chosen.__annotations__.update(given=self._input(name), **{"return": output})
        return node(name=name, retries=1)(chosen)

    def _output(self, name: str) -> Any:
        return list[str] if is_mapped(self.plan, name) else str

    def _input(self, name: str) -> Any:
        edges = self.plan.incoming[name]
        if not edges:
            return str
        if edges[0].kind is EdgeKind.JOIN:
            return GenericAlias(tuple, tuple(self._output(edge.source) | None for edge in edges))
        found = None
        for edge in edges:
            kind: Any = self._output(edge.source)
            if edge.kind is EdgeKind.COLLECT:
                kind = list[kind]
            elif edge.kind is EdgeKind.MAP:
                kind = str
            found = kind if found is None else found | kind
        return found


class Expected:
    """The end of an undisturbed run, by the oracle: `values` of all that succeed, and `stuck` what fails.

    An activation is stuck when alternatives were taken together, or when none of its conditions is true and that
    is not meant.
    """

    def __init__(self, plan: Plan, behaviour: Behaviour) -> None:
        self.plan = plan
        self.behaviour = behaviour
        self.values: dict[Address, Any] = {}
        self.facts: dict[Address, Fact] = {}
        self.stuck: set[Address] = set()
        while self._step():
            pass
        self.oracle = Oracle(plan, self.facts)

    @property
    def result(self) -> object:
        """What the first of the ends that ran gives; None when all were skipped or never reached."""
        return next((self.values[end] for end in map(Address, self.plan.ends) if end in self.values), None)

    @property
    def skipped(self) -> bool:
        """Whether all ends are skipped."""
        return all(self.oracle.verdict(Address(end)) is Verdict.SKIPPED for end in self.plan.ends)

    @property
    def completed(self) -> bool:
        """Whether the run succeeds."""
        return not self.stuck and any(
            self.oracle.verdict(Address(end)) is Verdict.SUCCEEDED for end in self.plan.ends
        )

    def _step(self) -> bool:
        oracle = Oracle(self.plan, self.facts)
        moved = False
        for address in list(oracle.addresses()):
            if oracle.verdict(address) is Verdict.DUE and address not in self.stuck:
                moved = True
                self._enact(oracle, address)
        return moved

    def _enact(self, oracle: Oracle, address: Address) -> None:
        ambiguous, given = self._given(oracle, address)
        if ambiguous:
            self.stuck.add(address)
            return
        value = said(self.behaviour, self.plan, address, given)
        edges = self.plan.outgoing[address.node]
        taken = [e.index for e in edges if e.conditional and self.behaviour.takes(e, value)]
        taken = taken or [e.index for e in edges if e.otherwise]
        self.values[address] = value
        certain = not edges or any(not (e.conditional or e.otherwise) for e in edges)
        if not taken and not certain and not self.plan.node[address.node].discarded:
            self.stuck.add(address)
            return
        items = len(value) if isinstance(value, list) else None
        self.facts[address] = Fact(tuple(sorted(taken)), items)

    def _given(self, oracle: Oracle, address: Address) -> tuple[bool, object]:
        """Whether too much is given, and what is given."""
        edges = self.plan.incoming[address.node]
        if not edges:
            return False, "begin"
        given = oracle.input(address)
        if edges[0].kind is EdgeKind.MAP:
            source, item = given
            assert isinstance(source, Address)
            assert isinstance(item, int)
            return False, self.values[source][item]
        if edges[0].kind is EdgeKind.JOIN:
            return False, tuple(None if one is None else self.values[one] for one in given)  # type: ignore[index]
        if len(given) > 1:
            return True, None
        one = next(iter(given))
        if isinstance(one, Address):
            return False, self.values[one]
        assert isinstance(one, tuple)
        return False, [self.values[item] for item in one]  # pyright: ignore[reportUnknownVariableType]

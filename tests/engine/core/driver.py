"""The second driver: in memory, without an event loop, on nothing but `advance`, `pending` and what they give.

`Driver` keeps what is to be done and does it in any order that it is told. A `World` is what lies outside of the core:
nodes, providers, the clock. Between any two steps the process may die.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from perdure.checkpoints.records import RunStatus
from perdure.engine.core import commands as c
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.commands import Command, Effect
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.pending import backoff_due, due, pending
from perdure.engine.core.policy import Policies
from perdure.engine.core.recovery import next_event

from .play import Play

Place: TypeAlias = tuple[Address, OperationAddress | None]


class World(Protocol):
    """What lies outside."""

    def perform(self, driver: Driver, effect: Effect) -> CoreEvent | None:
        """Do the effect: what was found out, or None where nothing came of it (yet)."""
        ...


class Driver:
    """Drives one run. `late` leaves what was found out to be committed later, and to be lost in a crash."""

    def __init__(self, play: Play, world: World, *, late: bool = False) -> None:
        self.play = play
        self.world = world
        self.late = late
        self.todo: list[Effect | CoreEvent] = []
        self.wakes: dict[Place, float] = {}
        self.held: list[OperationAddress] = []
        self.refused = 0
        self.before_each: Callable[[CoreEvent], object] = lambda event: None
        self.after_each: Callable[[], object] = lambda: None
        self.after_refusal: Callable[[CoreEvent], object] = lambda event: None

    @property
    def finished(self) -> RunStatus | None:
        return self.play.finished

    def start(self) -> None:
        self.apply(events.RunStarted(self.play.now, self.play.policies))

    def apply(self, event: CoreEvent) -> None:
        """Commit the event; then what follows is to be done. One that comes too late is dropped."""
        before = self.play.snapshot()
        self.before_each(event)
        try:
            followed = self.play.apply(event)
        except IllegalEventError:
            self.refused += 1
            assert self.play.state == before, "an event that was refused changed something"
            self.after_refusal(event)
            return
        self._take(followed)
        self.after_each()

    def _take(self, followed: list[Command]) -> None:
        for command in followed:
            match command:
                case c.SaveActivation() | c.SaveOperation() | c.SaveSubmission() | c.SaveScope() | c.Finish():
                    pass
                case c.Wake():
                    self.wakes[command.address, command.operation] = command.at
                case c.Hold():
                    self.held.append(command.operation)
                case _:
                    self.todo.append(command)

    def do(self, index: int = 0) -> None:
        """Do one of the things that are to be done."""
        self._do(self.todo.pop(index))

    def _do(self, thing: Effect | CoreEvent) -> None:
        if not isinstance(thing, Effect):
            self.apply(thing)
            return
        event = self.world.perform(self, thing)
        if event is None:
            return
        if self.late:
            self.todo.append(event)
        else:
            self.apply(event)

    def wake_at(self, at: float, place: Place) -> None:
        """Have it looked at then."""
        self.wakes[place] = at

    def wake(self, place: Place) -> None:
        """Its moment has come."""
        self.play.now = max(self.play.now, self.wakes.pop(place))
        address, operation = place
        if operation is None:
            if self.play.state.instance(address) is not None:
                ended = backoff_due(self.play.state, self.play.state.key(address), self.play.now)
                if ended is not None:
                    self.apply(ended)
            return
        known = self.play.state.operation(operation)
        if known is not None:
            effect = due(known, operation, self.play.state.policy(address.node))
            if effect is not None:
                self._do(effect)

    def crash(self, policies: Policies | None = None) -> None:
        """The process dies and another one goes on with what is stored, by these policies (default: the same)."""
        self.todo.clear()
        self.wakes.clear()
        self.held.clear()
        self.play.crash()
        refused = self.refused
        policies = self.play.state.policies if policies is None else policies
        while (event := next_event(self.play.state, self.play.now, 0.0, policies)) is not None:
            self.apply(event)
            assert self.refused == refused, f"{event} is to be recorded first, and was refused"
        self.todo.clear()
        self.wakes.clear()
        self.held.clear()
        self._take(list(pending(self.play.state)))

    def run(self) -> Driver:
        """All of it in order, each thing as soon as it is there, and what waits when its time comes."""
        while self.todo or (self.wakes and self.finished is None):
            if self.todo:
                self.do()
            else:
                self.wake(min(self.wakes, key=lambda place: self.wakes[place]))
        return self

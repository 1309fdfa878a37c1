"""One run with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.errors import ValueUnreadableError
from ...checkpoints.records import ActivationKey, ClaimRecord, RunRecord, RunStatus
from ...checkpoints.view import View
from ...engine.core.plan import Plan
from ...engine.graph.plan_form import decode_plan
from .activations import Activation, activations_of, add_up
from .signals import KeptSignal, kept_fates, kept_signals
from .waits import Wait, waits_of


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDetails:
    """One run, at one moment."""

    run: RunRecord
    plan: Plan
    holder: str | None
    """Who drives it."""
    claims: Sequence[ClaimRecord]
    """Who drove it, oldest first; the last one may last still."""
    activations: Sequence[Activation]
    signals: Sequence[KeptSignal]
    input: Any
    result: Any
    has_result: bool

    @property
    def usage(self) -> Mapping[str, Any]:
        """The sum of what the providers counted."""
        return add_up(activation.usage for activation in self.activations)

    @property
    def waits(self) -> list[Wait]:
        """What it waits on, the person first; nothing once it has ended."""
        if self.run.status.finished:
            return []
        return waits_of(self.activations, holder=self.holder, fates=kept_fates(self.signals))


def read_run(view: View, name: str) -> RunDetails:
    """The run with this id, prefix or `@latest`. Raises `RunNotFoundError`, `AmbiguousRunError`."""
    run = view.find(name)
    plan = read_plan(view, run)
    given = view.value(run.key, "input")
    result = read_result(view, run, plan)
    return RunDetails(
        run=run,
        plan=plan,
        holder=view.holder(run),
        claims=view.claims(run.key),
        activations=activations_of(
            plan, view.activations(run.key), view.operations(run.key), view.submissions(run.key)
        ),
        signals=kept_signals(view.signals([run.key])),
        input=None if given is None else unpacked(run, "input", given.data),
        result=None if result is None else unpacked(run, f"output of {result[0]}", result[1]),
        has_result=result is not None,
    )


def unpacked(run: RunRecord, what: str, data: bytes) -> Any:
    """A value of the run as plain data. Raises `ValueUnreadableError`, which names the run and what of it that is."""
    try:
        return unpack(data)
    except ValueUnreadableError as error:
        raise ValueUnreadableError(
            f"Run {run.id}: its {what}: {error}. `perdure events {run.id}` shows how it went.", error.path
        ) from error


def read_plan(view: View, run: RunRecord) -> Plan:
    """The plan that the run was started with."""
    return decode_plan(view.plan(run.signature).plan)


def read_result(view: View, run: RunRecord, plan: Plan) -> tuple[str, bytes] | None:
    """The end that gave the result of a run that succeeded, and its encoded output; None where there is none."""
    if run.status is not RunStatus.SUCCEEDED:
        return None
    for end in plan.ends:
        value = view.value(run.key, ActivationKey(scope=0, node=end, item=0))
        if value is not None:
            return end, value.data
    return None


def read_waits(view: View, run: RunRecord, *, holder: str | None) -> list[Wait]:
    """What an unfinished run waits on, read from its live rows alone. `holder` is who is to count as driving it."""
    activations, operations = view.live([run.key])
    return waits_of(
        activations_of(read_plan(view, run), activations, operations),
        holder=holder,
        fates=kept_fates(kept_signals(view.signals([run.key]))),
    )

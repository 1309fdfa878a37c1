"""What the rows of a run say, decoded: the run, its activations, what it waits on. No rendering here."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..checkpoints import (
    ActivationKey,
    ActivationRecord,
    ActivationState,
    RunRecord,
    RunStatus,
    unpack,
)
from ..checkpoints import reader as rows
from ..engine.events import Address
from ..engine.plan import Plan
from .app_name import AppNotFoundError, find_app
from .database import Reading
from .forms import error_form, run_form, token_form
from .output import Form
from .settings import Settings
from .times import iso, iso_or_none

S = ActivationState

Awaited: TypeAlias = Literal["provider", "person", "time", "driver"]
"""What a run can wait on: a provider's answer, a person's, a time, or a process that drives it on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationFacts:
    """One activation."""

    record: ActivationRecord
    kind: str
    token: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    usage: Mapping[str, Any]

    @property
    def address(self) -> Address:
        return Address(self.record.key.node, self.record.path)

    @property
    def handle(self) -> str:
        """The provider's handle in one line: its id, where it has just one."""
        handle: Mapping[str, Any] = {} if self.token is None else self.token["handle"]
        return " ".join(str(value) for value in handle.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """One thing that a run waits on."""

    on: Awaited
    node: str | None
    """The activation, None for the run as a whole."""
    provider: str | None = None
    at: float | None = None
    """When it is looked at next."""
    command: str | None = None
    """What a person types to move it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """One run, at one instant."""

    run: RunRecord
    plan: Plan
    holder: str | None
    activations: Sequence[ActivationFacts]
    input: Any
    result: Any
    has_result: bool
    waits: Sequence[Wait]

    @property
    def usage(self) -> Mapping[str, Any]:
        """The sum of what the providers counted."""
        total: dict[str, Any] = {}
        for activation in self.activations:
            total = _add(total, activation.usage)
        return total


def read_run(reading: Reading, settings: Settings, name: str) -> RunFacts:
    """All about the run with this id, prefix or `@latest`."""
    with reading.snapshot():
        run = reading.read(rows.find, name)
        plan = read_plan(reading, run)
        holder = reading.holder(run)
        records = reading.read(rows.activations, run.key, open_only=False)
        activations = [activation_facts(record, plan) for record in in_plan_order(plan, records)]
        given = unpack(reading.read(rows.input_of, run.key).data)
        result = None
        if run.status is RunStatus.SUCCEEDED:
            result = reading.read(rows.result, run.key, ActivationKey(scope=0, node=plan.end, item=0))
    return RunFacts(
        run=run,
        plan=plan,
        holder=holder,
        activations=activations,
        input=given,
        result=None if result is None else unpack(result.data),
        has_result=result is not None,
        waits=waits(settings, run, holder, activations),
    )


def read_plan(reading: Reading, run: RunRecord) -> Plan:
    """The plan that the run was started with."""
    return Plan.decode(reading.read(rows.plan, run.signature).plan)


def in_plan_order(plan: Plan, records: Iterable[ActivationRecord]) -> list[ActivationRecord]:
    """Activations in the order of the graph, then of their items."""
    order = {node.name: index for index, node in enumerate(plan.nodes)}
    return sorted(records, key=lambda record: (order.get(record.key.node, len(order)), record.path))


def activation_facts(record: ActivationRecord, plan: Plan) -> ActivationFacts:
    """The row of an activation, decoded. What went wrong before it succeeded is past."""
    past = record.state is S.SUCCEEDED and record.taken is not None
    return ActivationFacts(
        record=record,
        kind=plan.node[record.key.node].kind,
        token=None if record.token is None else unpack(record.token),
        error=None if record.error is None or past else unpack(record.error),
        usage={} if record.usage is None else unpack(record.usage),
    )


# -- waiting -----------------------------------------------------------------------------------------------


def command(settings: Settings, *words: str) -> str:
    """A `perdure` command that can be typed as it is; it names the database where `--db` did."""
    db = ["--db", settings.named] if settings.named else []
    return shlex.join(["perdure", *words, *db])


def drive_command(settings: Settings, verb: str, *words: str) -> str:
    """A command that needs the app: with the one that was named, or the place where one is to be named."""
    if settings.app is not None:
        return command(settings, verb, *words, "--app", settings.app)
    try:
        known = find_app(None) is not None
    except AppNotFoundError:  # said when an app is needed, not while one only looks
        known = False
    return command(settings, verb, *words) + ("" if known else " --app MODULE:ATTRIBUTE")


def answer_command(settings: Settings, run_id: str, address: str) -> str:
    """What decides a submission of unknown fate; one of the three last words is to be chosen."""
    return f"{command(settings, 'answer', run_id, address)} resubmit|fail|HANDLE"


def waits(
    settings: Settings, run: RunRecord, holder: str | None, activations: Iterable[ActivationFacts]
) -> list[Wait]:
    """What an unfinished run waits on, the person first."""
    if run.status.finished:
        return []
    found: list[Wait] = []
    for activation in activations:
        record, address = activation.record, str(activation.address)
        provider = None if activation.token is None else str(activation.token["provider"])
        match record.state:
            case S.WAITING | S.CANCELLING if provider is not None:
                found.append(Wait(on="provider", node=address, provider=provider, at=record.wake_at))
            case S.BACKOFF:
                found.append(Wait(on="time", node=address, at=record.wake_at))
            case S.SUBMIT_UNKNOWN if record.wake_at is not None:
                found.append(Wait(on="time", node=address, at=record.wake_at))
            case S.SUBMIT_UNKNOWN:
                answer = answer_command(settings, run.id, address)
                found.append(Wait(on="person", node=address, command=answer))
            case S.SUBMITTING if holder is None:  # its process ended before the handle was known
                answer = answer_command(settings, run.id, address)
                found.append(Wait(on="driver", node=address, command=answer))
            case _:
                pass
    if holder is None:
        found.append(Wait(on="driver", node=None, command=drive_command(settings, "resume", run.id)))
    order: Sequence[Awaited] = ("person", "provider", "time", "driver")
    return sorted(found, key=lambda wait: order.index(wait.on))


def _add(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up counts; counts inside of counts too. What is no number is left out."""
    added = dict(total)
    for name, value in more.items():
        match value:
            case bool() | str() | None:
                continue
            case int() | float():
                added[name] = added.get(name, 0) + value
            case dict():
                added[name] = _add(added.get(name, {}), value)  # pyright: ignore[reportUnknownArgumentType]
            case _:
                continue
    return added


# -- JSON ----------------------------------------------------------------------------------------------------


def activation_form(activation: ActivationFacts) -> dict[str, Any]:
    """An activation in JSON."""
    record = activation.record
    return {
        "node": record.key.node,
        "path": list(record.path),
        "activation": str(activation.address),
        "kind": activation.kind,
        "state": record.state.value,
        "attempt": record.attempt,
        "submissions": record.submission,
        "unknown_submissions": record.unknown,
        "started_at": iso(record.started_at),
        "updated_at": iso(record.updated_at),
        "wake_at": iso_or_none(record.wake_at),
        "token": None if activation.token is None else token_form(activation.token),
        "error": None if activation.error is None else error_form(activation.error),
        "usage": dict(activation.usage),
    }


def facts_form(facts: RunFacts) -> Form:
    """All about a run in JSON."""
    return {
        **run_form(facts.run),
        "driven_by": facts.holder,
        "waits_on": [
            {
                "on": wait.on,
                "activation": wait.node,
                "provider": wait.provider,
                "at": iso_or_none(wait.at),
                "command": wait.command,
            }
            for wait in facts.waits
        ],
        "activations": [activation_form(activation) for activation in facts.activations],
        "usage": facts.usage,
        "input": facts.input,
        "result": facts.result,
    }

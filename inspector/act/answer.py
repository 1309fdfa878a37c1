"""`perdure answer`: decide a submission whose fate is unknown."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches

import click

from ...checkpoints.codec import pack
from ...checkpoints.records import RunRecord
from ...checkpoints.sqlite import SQLiteStore
from ...checkpoints.view import View
from ...engine.core.addresses import OperationAddress
from ...engine.errors import AnswerError
from ...engine.fates import undecided_operation
from ...engine.signal_data import fate_data
from ..commands import HANDLE, REPLIES, drive_command
from ..exits import Exit
from ..read.database import find_run
from ..read.signals import kept_fates, kept_signals
from ..render.output import say, write_entry
from ..settings import Settings


def answer_run(settings: Settings, name: str, node: str, reply: str) -> Exit:
    """Leave the decision for whoever drives the run. Raises `AnswerError` when no fate is unknown there."""
    reply = reply.strip()
    if reply == HANDLE:
        raise click.BadParameter(
            f"{HANDLE} stands for the provider's handle: put the one that you found there."
        )
    meant = get_close_matches(reply.lower(), REPLIES, n=1, cutoff=0.75)
    if not reply or (meant and reply not in REPLIES):
        hint = f"did you mean {meant[0]}?" if meant else "it is empty."
        raise click.BadParameter(f"{reply!r}: {hint} Say resubmit, fail, or the provider's handle.")
    return asyncio.run(_answer(settings, find_run(settings, name), node, reply))


async def _answer(settings: Settings, run_id: str, node: str, reply: str) -> Exit:
    async with SQLiteStore(settings.db, create=False) as store:
        run, operation, kept = await store.read(lambda view: _read(view, run_id, node))
        if kept is not None:
            raise AnswerError(
                f"Run {run.id}: {operation} has an answer already ({kept}), which nobody has acted on yet. Go on with: "
                f"{drive_command(settings, 'resume', run.id)}",
                run_id=run.id,
            )
        data = pack(fate_data(operation, reply))
        await store.signal(run.key, "fate", *operation.address, data)
        holder = await store.read(lambda view: view.holder(run))
    entry = {"run": run.id, "activation": str(operation.address), "fate": reply, "driven_by": holder}
    write_entry(settings, entry, ())
    if holder is not None:
        say(f"The answer for {operation} of run {run.id} is left to {holder}, which drives it.")
    else:
        say(f"The answer for {operation} of run {run.id} is kept. Nobody drives the run now; go on with:")
        say(f"  {drive_command(settings, 'resume', run.id)}")
    return Exit.OK


def _read(view: View, run_id: str, node: str) -> tuple[RunRecord, OperationAddress, str | None]:
    """The run, the operation that is meant, and the answer that it has already."""
    with view.snapshot():
        run = view.run(run_id)
        operation = undecided_operation(view, run, node)
        answers = kept_fates(kept_signals(view.signals([run.key])))
    return run, operation, answers.get(operation)

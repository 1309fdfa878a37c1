"""`perdure answer`: decide a submission whose fate is unknown."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches

import click

from ..checkpoints import SQLiteStore, pack
from ..engine import AnswerError
from ..engine.addresses import waiting_for_answer
from .database import find_run
from .exits import Exit
from .facts import drive_command
from .output import say, write_entry
from .settings import Settings

WORDS = ("resubmit", "fail")
"""What is no handle."""


def answer_run(settings: Settings, name: str, node: str, reply: str) -> Exit:
    """Leave the answer for whoever drives the run."""
    reply = reply.strip()
    meant = get_close_matches(reply.lower(), WORDS, n=1, cutoff=0.75)
    if not reply or (meant and reply not in WORDS):
        hint = f"did you mean {meant[0]}?" if meant else "it is empty."
        raise click.BadParameter(f"{reply!r}: {hint} Say resubmit, fail, or the provider's handle.")
    return asyncio.run(_answer(settings, find_run(settings, name), node, reply))


async def _answer(settings: Settings, run_id: str, node: str, reply: str) -> Exit:
    async with SQLiteStore(settings.db, create=False) as store:
        run = await store.run(run_id)
        address = await waiting_for_answer(store, run, node)
        for message in await store.messages([run.key]):
            if message.type == "answer" and (message.node, message.path) == tuple(address):
                raise AnswerError(
                    f"Run {run.id}: {address} has an answer already, which nobody has taken up yet. Go on with: "
                    f"{drive_command(settings, 'resume', run.id)}",
                    run_id=run.id,
                )
        await store.post(run.key, "answer", address.node, address.path, pack({"answer": reply}))
        holder = await store.holder(run)
    form = {"run": run.id, "activation": str(address), "answer": reply, "driven_by": holder}
    write_entry(settings, form, ())
    if holder is not None:
        say(f"The answer for {address} of run {run.id} is left to {holder}, which drives it.")
    else:
        say(f"The answer for {address} of run {run.id} is kept. Nobody drives the run now; go on with:")
        say(f"  {drive_command(settings, 'resume', run.id)}")
    return Exit.OK

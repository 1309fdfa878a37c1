"""The verbs that only read. Each reads in one transaction, then shows what it read.

They need neither an event loop nor the nodes, so that a look costs no more than its queries.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

from ..checkpoints.records import RunStatus
from .exits import Exit
from .read.database import open_view, reading
from .read.graph import read_graph
from .read.run import read_run
from .read.tokens import open_tokens
from .render.database import info_entry, info_lines
from .render.entries import details_entry, event_entry, open_token_entry, run_entry
from .render.events import event_line
from .render.graph import graph_entry, graph_lines, mermaid_lines
from .render.output import Entry, Stream, say, write_entries, write_entry
from .render.run import details_lines
from .render.runs import run_lines
from .render.terminal import clean
from .render.tokens import token_lines
from .settings import Settings

SHOWN = 50
"""Runs in a table where nothing else is asked for."""
PAGE = 500
"""Events that are read at once while a journal is followed."""
INTERVAL = 0.25
"""Seconds between two looks at a journal that is followed."""


def list_runs(
    settings: Settings,
    *,
    status: Sequence[str],
    workflow: str | None,
    since: float | None,
    labels: Mapping[str, str],
    limit: int | None,
) -> Exit:
    """Show the runs, newest first. A table is cut at `SHOWN` where no limit is given, and says so."""
    most = limit if limit is not None else SHOWN + 1 if settings.output == "table" else None
    with reading(settings) as view:
        found = view.runs(
            status=[RunStatus(name) for name in status],
            workflow=workflow,
            labels=labels,
            since=since,
            limit=most,
        )
    more = limit is None and settings.output == "table" and len(found) > SHOWN
    shown = found[:SHOWN] if more else found
    write_entries(settings, map(run_entry, shown), run_lines(settings, shown))
    if not found and settings.output == "table":
        say("No runs." if not (status or workflow or since or labels) else "No such runs.")
    if more:
        say(f"These are the {SHOWN} newest. `--limit N` shows more, `-o json` all of them.")
    return Exit.OK


def show_run(settings: Settings, name: str, *, everything: bool) -> Exit:
    """Show the run with this id, prefix or `@latest`; every map item by itself with `everything`."""
    with reading(settings) as view:
        details = read_run(view, name)
    entry: Entry = {} if settings.output == "table" else details_entry(settings, details)
    write_entry(settings, entry, details_lines(settings, details, everything=everything))
    return Exit.OK


def list_tokens(settings: Settings, name: str | None) -> Exit:
    """Show the tokens of all runs, or of one; oldest first."""
    with reading(settings) as view:
        tokens = open_tokens(view, name)
    write_entries(settings, map(open_token_entry, tokens), token_lines(settings, tokens))
    if not tokens and settings.output == "table":
        say("No token is out.")
    return Exit.OK


def show_events(settings: Settings, name: str, *, after: int) -> Exit:
    """Show the journal after a position."""
    with reading(settings) as view:
        run = view.find(name)
        records = view.events(run.key, after=after)
    with Stream(settings) as stream:
        for record in records:
            stream.write(event_entry(run, record), event_line(settings, record))
    return Exit.OK


def follow_events(settings: Settings, name: str, *, after: int) -> Exit:
    """Show the journal after a position until the run has ended. Each look is a transaction of its own."""
    with open_view(settings) as view, Stream(settings) as stream:
        with view.snapshot():
            run = view.find(name)
            holder = view.holder(run)
        if holder is None and not run.status.finished:
            say(f"Nobody drives run {run.id} now; new events come when somebody does.")
        while True:
            with view.snapshot():
                ended = view.run(run.id).status.finished
                records = view.events(run.key, after=after, limit=PAGE)
            for record in records:
                after = record.position
                stream.write(event_entry(run, record), event_line(settings, record))
            if not records:
                if ended:
                    return Exit.OK
                time.sleep(INTERVAL)


def show_graph(settings: Settings, name: str, *, as_mermaid: bool) -> Exit:
    """Draw the graph of the run with this id, prefix or `@latest`."""
    with reading(settings) as view:
        graph = read_graph(view, name)
    if as_mermaid:
        sys.stdout.writelines(f"{line}\n" for line in mermaid_lines(graph))
    else:
        write_entry(settings, graph_entry(graph), graph_lines(settings, graph))
    return Exit.OK


def show_info(settings: Settings) -> Exit:
    """Show what the database is and how much it holds."""
    with reading(settings) as view:
        info = view.info()
    write_entry(settings, info_entry(info), info_lines(info))
    return Exit.OK


def check_database(settings: Settings) -> Exit:
    """Show all damage, a line each."""
    with reading(settings) as view:
        damage = view.check()
    path = os.path.realpath(settings.db)
    write_entry(settings, {"path": path, "sound": not damage, "damage": damage}, map(clean, damage))
    if damage:
        say(
            f"{path}: {len(damage)} damage{'' if len(damage) == 1 else 's'} found. Keep a copy of the file, then restore "
            "a backup or save what is left with `sqlite3 OLD .recover | sqlite3 NEW`."
        )
        return Exit.ERROR
    if settings.output == "table":
        say(f"{path}: sound.")
    return Exit.OK

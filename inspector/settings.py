"""The global options: which database, which form of output, colour, how much is said. Valid before and after the verb.

Each verb takes them too, so that `perdure show X -o json` works as people type it. Both places write into the one
`Settings` of the context; what comes after the verb wins.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TextIO, TypeAlias, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Format: TypeAlias = Literal["table", "json", "jsonl"]

DATABASE = "perdure.db"
"""The database where neither `--db` nor PERDURE_DB names one."""
NARROW = 80
"""Columns of a table where there is no terminal that says how wide it is."""


@dataclass(slots=True)
class Settings:
    """What the global options say."""

    named: str | None = None
    """What `--db` says."""
    output: Format = "table"
    colourless: bool = False
    verbose: bool = False
    app: str | None = None
    """What `--app` says, of verbs that have it."""

    @property
    def db(self) -> str:
        """The path of the database."""
        return self.named or os.environ.get("PERDURE_DB") or DATABASE

    def colour(self, stream: TextIO) -> bool:
        """Whether to colour what is written there: only on a terminal, unless FORCE_COLOR asks for it."""
        if self.colourless or os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("FORCE_COLOR"):
            return True
        return stream.isatty() and os.environ.get("TERM") != "dumb"

    def width(self, stream: TextIO) -> int:
        """Columns that a table may take: those of the terminal, 80 off one."""
        if not stream.isatty():
            return NARROW
        return max(40, shutil.get_terminal_size((NARROW, 24)).columns)


def into(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback for options: keeps what was given in that field of the context's settings."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value:
            setattr(context.ensure_object(Settings), field, value)
        return value

    return keep


def global_options(command: F) -> F:
    """Give a command the global options. They go into the context's `Settings`, not to the function."""
    options = (
        click.option(
            "--db",
            metavar="PATH",
            callback=into("named"),
            expose_value=False,
            help=f"The database: --db, else PERDURE_DB, else {DATABASE}.",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Choice(["table", "json", "jsonl"]),
            callback=into("output"),
            expose_value=False,
            help="Tables for people (the default), JSON, or a line of JSON per entry.",
        ),
        click.option(
            "--no-color",
            is_flag=True,
            callback=into("colourless"),
            expose_value=False,
            help="No colour. NO_COLOR and FORCE_COLOR are honoured as well.",
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            callback=into("verbose"),
            expose_value=False,
            help="Say more: progress, the log, tracebacks.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command

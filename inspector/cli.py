"""The command line as it is typed: verbs, arguments, options, help. What verbs do is in `look` and `act`.

These are imported lazily, when a verb runs, so that `perdure --help` loads nothing but click.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import click

from .exits import Exit
from .render.terminal import clean_lines
from .render.times import point_in_time
from .settings import Settings, global_options, into

STATUSES = ("queued", "running", "waiting", "failing", "cancelling", "succeeded", "failed", "cancelled")
EPILOG = (
    "RUN is an id, the beginning of one, or @latest. Exit codes: 0 ok, 1 error, 2 usage, 3 not found; of resume and "
    "retry also 4 the run failed, 5 it waits, 6 it was cancelled; 130 interrupted, 143 terminated."
)

_GLOBAL = ("named", "output", "colourless", "verbose")


class Verb(click.Command):
    """A command that takes the global options too, and does not repeat them in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verb's own options; the global ones are named in a line."""
        options = [
            parameter
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and parameter.expose_value
        ]
        records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
        if records:
            with formatter.section("Options"):
                formatter.write_dl(records)
        formatter.write_paragraph()
        formatter.write_text(
            "The global options are valid here as well as before the verb: see perdure --help."
        )


class Verbs(click.Group):
    """A group whose verbs return exit codes, and the one place where errors become messages."""

    command_class = Verb

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are declared, looking before acting."""
        return list(self.commands)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read what was typed. Raises what click raises, without control characters in its message."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            raise cleaned(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; end the process with its exit code."""
        code: int = Exit.OK
        try:
            code = super().invoke(ctx) or Exit.OK
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough. Nothing more can be written there, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            code = Exit.INTERRUPTED
        except click.ClickException as error:
            raise cleaned(error) from None
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes a message and an exit code
            code = report(error, verbose=ctx.ensure_object(Settings).verbose)
        ctx.exit(code)


def cleaned(error: click.ClickException) -> click.ClickException:
    """The error, whose message may quote what was typed, without control characters."""
    message = error.format_message()
    harmless = clean_lines(message)
    if harmless == message:
        return error
    if isinstance(error, click.UsageError):
        return click.UsageError(harmless, error.ctx)
    return click.ClickException(harmless)


def report(error: Exception, *, verbose: bool) -> Exit:
    """Say what went wrong; the traceback only on request."""
    from ..checkpoints.errors import AmbiguousRunError, DatabaseMissingError, PerdureError, RunNotFoundError
    from .app_name import AppNotFoundError
    from .render.output import say

    if verbose:
        say("".join(traceback.format_exception(error)).rstrip())
    if not isinstance(error, PerdureError):
        hint = "" if verbose else " Again with -v shows where."
        say(f"Error: {type(error).__name__}: {error}{hint}")
        return Exit.ERROR
    say(f"Error: {error}")
    match error:
        case DatabaseMissingError() | RunNotFoundError():
            return Exit.NOT_FOUND
        case AmbiguousRunError() | AppNotFoundError():
            return Exit.USAGE
        case _:
            return Exit.ERROR


def since(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """A point in time, seconds since the epoch, as `times.point_in_time` reads it."""
    import time

    try:
        return None if value is None else point_in_time(value, time.time())
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time. Write 2h, 30min, 3d, 2026-11-22 or 2026-11-22T08:30."
        ) from None


def label_pairs(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    """The labels that `KEY=VALUE` names; a value may hold more of `=`."""
    pairs: dict[str, str] = {}
    for text in value:
        key, equals, wanted = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is no label. Write KEY=VALUE, like tenant=acme.")
        if pairs.setdefault(key, wanted) != wanted:
            raise click.BadParameter(f"a run has one value of {key!r}, not two. Name one.")
    return pairs


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@global_options
@click.version_option(package_name="perdure", message="perdure %(version)s")
def cli() -> None:
    """Look at workflow runs and their checkpoints, and drive them on.

    Reading needs none of your code; only resume and retry take --app.
    """


settings_of = click.make_pass_decorator(Settings, ensure=True)
run_argument = click.argument("run", metavar="RUN")
app_option = click.option(
    "--app",
    metavar="MODULE:ATTRIBUTE",
    callback=into("app"),
    help="Your Workflow, or a list of them; else PERDURE_APP, else [tool.perdure] app in ./pyproject.toml.",
)
once_option = click.option("--once", is_flag=True, help="Stop (exit 5) when everything only waits.")

# -- looking ---------------------------------------------------------------------------------------------------


@cli.command()
@click.option(
    "--status",
    metavar="STATUS",
    multiple=True,
    type=click.Choice(STATUSES),
    help=f"Only runs that are {', '.join(STATUSES[:-1])} or {STATUSES[-1]}; can be given again.",
)
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option(
    "--since", metavar="WHEN", callback=since, help="Only runs started since: 2h, 3d, 2026-11-22T08:30."
)
@click.option(
    "--label",
    "labels",
    metavar="KEY=VALUE",
    multiple=True,
    callback=label_pairs,
    help="Only runs with this label; can be given again.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many. [a table: 50, JSON: all]")
@global_options
@settings_of
def runs(
    settings: Settings,
    status: Sequence[str],
    workflow: str | None,
    since: float | None,
    labels: Mapping[str, str],
    limit: int | None,
) -> Exit:
    """List runs, newest first."""
    from .look import list_runs

    return list_runs(settings, status=status, workflow=workflow, since=since, labels=labels, limit=limit)


@cli.command()
@run_argument
@click.option("--all", "everything", is_flag=True, help="Every item of every map by itself.")
@global_options
@settings_of
def show(settings: Settings, run: str, everything: bool) -> Exit:
    """Show one run: what it waits on, its activations, errors, usage."""
    from .look import show_run

    return show_run(settings, run, everything=everything)


@cli.command()
@click.argument("run", metavar="[RUN]", required=False)
@global_options
@settings_of
def tokens(settings: Settings, run: str | None) -> Exit:
    """List the continuation tokens that are out now, timers too."""
    from .look import list_tokens

    return list_tokens(settings, run)


@cli.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Follow it until the run has ended.")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only events after position N."
)
@global_options
@settings_of
def events(settings: Settings, run: str, follow: bool, after: int) -> Exit:
    """Show the journal of a run, its checkpoint log."""
    from .look import follow_events, show_events

    return (follow_events if follow else show_events)(settings, run, after=after)


@cli.command()
@run_argument
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
@global_options
@settings_of
def graph(settings: Settings, run: str, mermaid: bool) -> Exit:
    """Draw the graph of a run with the states of its nodes."""
    if mermaid and settings.output != "table":
        raise click.UsageError(f"--mermaid and -o {settings.output} exclude each other: give one of them.")
    from .look import show_graph

    return show_graph(settings, run, as_mermaid=mermaid)


# -- acting ----------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--all", "everything", is_flag=True, help="All unfinished runs of the app that nobody drives.")
@app_option
@once_option
@global_options
@settings_of
def resume(settings: Settings, run: str | None, everything: bool, app: str | None, once: bool) -> Exit:
    """Drive a run on from its last checkpoint, and print its result.

    Text is printed as it is, anything else as JSON. Without --once it goes on until the run has ended, or waits for
    nothing but an answer of yours.
    """
    from .act import drive

    if run is None and everything:
        return drive.resume_all(settings, app=app, once=once)
    if run is None or everything:
        raise click.UsageError("Name one run, or say --all.")
    return drive.resume_run(settings, run, app=app, once=once)


@cli.command()
@run_argument
@app_option
@global_options
@settings_of
def retry(settings: Settings, run: str, app: str | None) -> Exit:
    """Drive a failed run on from where it failed.

    What succeeded is kept. A run that has not ended is resumed.
    """
    from .act.drive import retry_run

    return retry_run(settings, run, app=app)


@cli.command()
@run_argument
@app_option
@global_options
@settings_of
def cancel(settings: Settings, run: str, app: str | None) -> Exit:
    """Cancel a run, at the providers too, and wait for the end.

    Needs no app, unless clients are chosen per run; with one, your own are used, not the default client.
    """
    from .act.cancel import cancel_run

    return cancel_run(settings, run, app=app)


@cli.command()
@run_argument
@click.option("--yes", is_flag=True, help="Don't ask whether it is meant.")
@global_options
@settings_of
def delete(settings: Settings, run: str, yes: bool) -> Exit:
    """Delete a run that has ended, with all that is stored of it.

    One that is under way is to be cancelled first. Without a terminal --yes is needed.
    """
    from .act.delete import delete_run

    return delete_run(settings, run, yes=yes)


@cli.command()
@run_argument
@click.argument("node", metavar="NODE")
@click.argument("reply", metavar="resubmit|fail|HANDLE")
@global_options
@settings_of
def answer(settings: Settings, run: str, node: str, reply: str) -> Exit:
    """Decide a submission that the provider may have accepted.

    NODE is an activation as `show` names it, like 'research[3]', or one of its operations, where several of them wait,
    like 'research[3] (ask "prices")'. resubmit sends the same request again, fail counts
    it as failed, and a HANDLE that you found at the provider is adopted.
    """
    from .act.answer import answer_run

    return answer_run(settings, run, node, reply)


# -- the rest ----------------------------------------------------------------------------------------------------


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0 takes a free one."
)
@click.option(
    "--db",
    default="simulator.db",
    show_default=True,
    metavar="PATH",
    help="The simulator's own file; it continues where it left off.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a response takes.",
)
@settings_of
def simulate(settings: Settings, port: int, db: str, duration: float) -> Exit:
    """Run a simulator of the Responses API, for trying and testing.

    It keeps everything in its file, so it can be killed at any time. The global options don't apply to it.
    """
    if settings.named is not None:
        raise click.UsageError(
            "The simulator's own file is named after the verb: perdure simulate --db PATH."
        )
    from .act.simulate import simulate as serve

    return serve(port=port, db=db, duration=duration)


@cli.group(cls=Verbs)
def db() -> None:
    """Look after the database itself."""


@db.command()
@global_options
@settings_of
def info(settings: Settings) -> Exit:
    """Show what the database is and how much it holds."""
    from .look import show_info

    return show_info(settings)


@db.command()
@global_options
@settings_of
def check(settings: Settings) -> Exit:
    """Look for damage, in all of the database.

    A line for each damage, and exit code 1, where there is any.
    """
    from .look import check_database

    return check_database(settings)

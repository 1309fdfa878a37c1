"""The `perdure` commands that are printed as advice. Each can be pasted as it stands."""

from __future__ import annotations

import shlex

from .app_name import AppNotFoundError, find_app
from .settings import Settings

HANDLE = "HANDLE"
"""Stands for the provider's handle in a command that is printed."""
REPLIES = ("resubmit", "fail")
"""What can be answered to a submission of unknown fate, beside a handle."""


def command(settings: Settings, *words: str) -> str:
    """A `perdure` command that can be pasted; it names the database where `--db` did."""
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


def answer_commands(settings: Settings, run_id: str, operation: str) -> tuple[str, ...]:
    """What decides a submission of unknown fate, each in a command of its own."""
    return tuple(command(settings, "answer", run_id, operation, reply) for reply in (*REPLIES, HANDLE))

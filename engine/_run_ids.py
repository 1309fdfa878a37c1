"""Which texts can be a run's id, and a new one."""

from __future__ import annotations

import os
import re

from .errors import RunIdError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,199}")


def new_run_id() -> str:
    """A random one, 16 hexadecimal digits."""
    return os.urandom(8).hex()


def check_run_id(run_id: str) -> str:
    """The id, if it can be one. Raises `RunIdError`."""
    if not _RUN_ID.fullmatch(run_id):
        raise RunIdError(
            f"{run_id!r} can't be a run's id: use up to 200 letters, digits and . _ : / + = -, beginning with a letter "
            "or digit.",
            run_id=run_id,
        )
    return run_id

"""Names that people type: run ids, and activations as they are shown (`research[3]`)."""

from __future__ import annotations

import re

from ..checkpoints import ActivationState, RunRecord, Store
from .errors import AnswerError, RunIdError
from .events import Address

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,199}")
_ADDRESS = re.compile(r"(?P<node>[^\[\]]+?)(?:\[(?P<path>\d+(?:\s*,\s*\d+)*)\])?")


def check_run_id(run_id: str) -> str:
    """The id, if it can be one. Raises `RunIdError`."""
    if not _RUN_ID.fullmatch(run_id):
        raise RunIdError(
            f"{run_id!r} can't be a run's id: use up to 200 letters, digits and . _ : / + = -, beginning with a letter "
            "or digit.",
            run_id=run_id,
        )
    return run_id


def parse(text: str) -> Address | None:
    """The address that is written so, None when it is none."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    path = match["path"]
    return Address(match["node"].strip(), tuple(map(int, path.split(","))) if path else ())


async def waiting_for_answer(store: Store, run: RunRecord, text: str) -> Address:
    """The activation that is meant. Raises `AnswerError` when it waits for no answer.

    A node's bare name will do when only one of its activations waits. A submission that was under way when its
    process ended waits as well: whoever takes the run up finds its fate unknown.
    """
    wanted = parse(text)
    states = {ActivationState.SUBMIT_UNKNOWN}
    if await store.holder(run) is None:
        states.add(ActivationState.SUBMITTING)
    records = [record for record in await store.activations(run.key) if record.state in states]
    waiting = [Address(record.key.node, record.path) for record in records]
    if wanted in waiting:
        assert wanted is not None
        return wanted
    of_node = [address for address in waiting if wanted is not None and address.node == wanted.node]
    if wanted is not None and not wanted.path and len(of_node) == 1:
        return of_node[0]
    names = ", ".join(map(str, of_node or waiting)) or "nothing"
    raise AnswerError(f"Run {run.id}: {text} waits for no answer. What does: {names}.", run_id=run.id)

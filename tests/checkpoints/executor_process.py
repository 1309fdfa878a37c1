"""A process with a store that does as it is told: a JSON list per line on stdin, an answer per line on stdout.

Started by `children.py`. It stands for an executor that is killed, stopped, forked or raced, and with the option
`read_only` for a command that has a view alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from perdure.checkpoints import PerdureError, RunStatus, SQLiteStore, SQLiteView
from perdure.checkpoints.conformance.examples import PLAN, make_run, make_step


async def obey(store: SQLiteStore, order: list[Any]) -> object:
    match order:
        case ["register"]:
            return await store.register()
        case ["create", str(run_id)]:
            return (await make_run(store, run_id)).key
        case ["commit", int(run), int(position), int(fence)]:
            await store.commit(make_step(run, position=position, fence=fence))
            return None
        case ["finish", int(run), int(position), int(fence)]:
            step = make_step(run, position=position, fence=fence, status=RunStatus.SUCCEEDED)
            await store.commit(step)
            return None
        case ["claim", str(run_id)]:
            claim = await store.claim(run_id)
            return {
                "granted": claim.granted,
                "holder": claim.holder,
                "from": claim.taken_over,
                "fence": claim.run.fence,
            }
        case ["claim_all"]:
            return [claim.run.id for claim in await store.claim_all([PLAN.signature]) if claim.granted]
        case ["runs"]:
            return await store.read(lambda view: [run.id for run in view.runs()])
        case ["fork"]:
            return _fork()
        case _:
            raise ValueError(f"no such order: {order}")


def _fork() -> int:
    """A child that inherits all descriptors and sleeps; a worker of a user's process pool, say."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    return child


async def main(path: str, options: dict[str, Any]) -> None:
    if "user" in options:
        await asyncio.to_thread(int)  # loads what this user may not read any more
        user = options.pop("user")
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if options.pop("read_only", False):
        with SQLiteView.open(path, **options) as view:
            print(json.dumps("ready"), flush=True)
            for line in sys.stdin:
                assert json.loads(line) == ["runs"]
                print(json.dumps([run.id for run in view.runs()]), flush=True)
        return
    async with SQLiteStore(path, **options) as store:
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                answer = await obey(store, json.loads(line))
            except PerdureError as error:
                answer = {"error": type(error).__name__, "message": str(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
    except PerdureError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)

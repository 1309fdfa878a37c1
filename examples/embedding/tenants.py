"""Briefings for several customers, each with a key of its own at the provider.

    python -m examples.embedding.tenants acme "sea otters"

`tenants.json` has what their clients are made with: {"acme": {"api_key": "sk-..."}, ...}
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import cache
from pathlib import Path

from openai import AsyncOpenAI
from perdure import Agent, Context, Executor, Workflow
from perdure.errors import ProviderUnavailableError


@cache
def client_of(tenant: str) -> AsyncOpenAI:
    """One client for each tenant, made once: all its agents and runs share the connections."""
    return AsyncOpenAI(**json.loads(Path("tenants.json").read_text(encoding="utf-8"))[tenant])


def client(ctx: Context) -> AsyncOpenAI:
    """Whose key this run uses."""
    return client_of(ctx.labels["tenant"])


researcher = Agent("researcher", model="o3", client=client)
writer = Agent(
    "writer", model="gpt-5", instructions="You write short briefings in plain English.", client=client
)

dossier = Workflow("dossier", start=researcher, end=writer)
dossier.edge(researcher, writer)


async def main(tenant: str, topic: str) -> None:
    """Start the tenant's run, or go on with it. The label says whose it is, here and in every later process."""
    async with Executor("perdure.db", workflows=[dossier]) as executor:
        try:
            run = await executor.start(dossier, topic, run_id=f"{tenant}-1", labels={"tenant": tenant})
        except ProviderUnavailableError as error:  # nothing was committed
            sys.exit(str(error))
        print(f"started {run.id}")
        print(await run.result())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))

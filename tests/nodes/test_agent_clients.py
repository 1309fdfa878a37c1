"""Agents whose client is chosen by the context: by the run's tenant, on two simulators that know nothing of each other."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from perdure.checkpoints import RunNotFoundError, SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import (
    Agent,
    Context,
    OutputUnavailableError,
    Polling,
    ProviderUnavailableError,
    SubmissionRejectedError,
)
from perdure.nodes.operations.openai import ResponsesPerContext
from perdure.simulator import Answer, Rule, Simulator

if TYPE_CHECKING:
    import httpx2

FAST = Polling(first=0.05, cap=0.1)


@pytest.fixture(scope="module")
def globex() -> Generator[Simulator]:
    """The provider of the second tenant; that of the first is `simulator`."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def tenants(simulator: Simulator, globex: Simulator) -> dict[str, Simulator]:
    globex.reset()
    both = {"acme": simulator, "globex": globex}
    for name, provider in both.items():
        provider.script(Rule(answer=Answer(text=name, duration=0.2)))
    return both


@asynccontextmanager
async def clients_of(tenants: dict[str, Simulator]) -> AsyncGenerator[dict[str, AsyncOpenAI]]:
    """A client for each, with a key of its own."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(provider.client(api_key=f"sk-simulated-{name}"))
            for name, provider in tenants.items()
        }


def writer(clients: dict[str, AsyncOpenAI]) -> Agent[str]:
    return Agent("writer", model="m", client=lambda ctx: clients[ctx.labels["tenant"]], polling=FAST)


def context(**labels: str) -> Context:
    return Context(run_id="r", node="writer", path=(), attempt=1, labels=labels)


def test_each_run_asks_with_the_client_of_its_tenant(tenants: dict[str, Simulator], tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with clients_of(tenants) as clients, Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            agent = writer(clients)
            runs = [
                await executor.start(agent, name, run_id=f"{name}-{number}", labels={"tenant": name})
                for number in range(3)
                for name in tenants
            ]
            return [await run.result() for run in runs]

    assert asyncio.run(main()) == ["acme", "globex"] * 3
    for name, provider in tenants.items():
        asked = provider.ledger().submissions()
        assert [request.body["metadata"]["run"] for request in asked] == [f"{name}-{n}" for n in range(3)]


def test_a_run_of_a_tenant_without_a_client_is_not_started(
    tenants: dict[str, Simulator], tmp_path: Path
) -> None:
    async def main() -> None:
        async with (
            clients_of(tenants) as all_clients,
            Executor(SQLiteStore(tmp_path / "runs.db")) as executor,
        ):
            clients = {"acme": all_clients["acme"]}
            agent = writer(clients)
            with pytest.raises(
                ProviderUnavailableError, match=r"Run r: writer has no client: KeyError.*globex"
            ):
                await executor.start(agent, "x", run_id="r", labels={"tenant": "globex"})
            with pytest.raises(RunNotFoundError):
                await executor.get("r")
            assert await executor.runs() == []
            run = await executor.start(agent, "x", run_id="r", labels={"tenant": "acme"})
            assert await run.result() == "acme"
            with pytest.raises(ProviderUnavailableError):  # asked for each run, not once for the workflow
                await executor.start(agent, "x", run_id="s", labels={"tenant": "globex"})
            del clients["acme"]  # a run that is there is no new one: its result needs no client
            assert await (await executor.start(agent, "x", run_id="r")).result() == "acme"

    asyncio.run(main())
    assert tenants["globex"].ledger().requests == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "None and not an AsyncOpenAI"), ("key", "str and not an AsyncOpenAI")],
)
def test_without_a_client_the_default_one_is_not_used_in_its_place(
    given: Any, words: str, monkeypatch: pytest.MonkeyPatch, simulator: Simulator, tmp_path: Path
) -> None:
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            with pytest.raises(ProviderUnavailableError, match=words):
                await executor.start(Agent("writer", model="m", client=lambda _: given), "x")

    asyncio.run(main())
    assert simulator.ledger().requests == ()


def test_an_async_function_is_refused() -> None:
    async def choose(context: Context) -> AsyncOpenAI:
        raise AssertionError(context)

    choosing: Any = choose
    with pytest.raises(ProviderUnavailableError, match="make it a plain one"):
        ResponsesPerContext(choosing).in_context(context())


def test_what_a_function_raises_is_told_without_a_key() -> None:
    def choose(context: Context) -> AsyncOpenAI:
        raise LookupError("no account for sk-live-0123456789abcdef")

    with pytest.raises(ProviderUnavailableError, match=r"LookupError: no account for \[key\]") as raised:
        ResponsesPerContext(choose).in_context(context(tenant="acme"))
    assert "tenant=acme" in str(raised.value)


def test_a_function_may_ask_for_resources_and_for_no_outputs(
    tenants: dict[str, Simulator], tmp_path: Path
) -> None:
    class Clients(dict[str, AsyncOpenAI]):
        pass

    seen: list[Context] = []

    def choose(context: Context) -> AsyncOpenAI:
        seen.append(context)
        return context.resource(Clients)[context.labels["tenant"]]

    agent = Agent("writer", model="m", client=choose, polling=FAST)

    async def main() -> str:
        async with clients_of(tenants) as clients:
            resources = [Clients(clients)]
            async with Executor(SQLiteStore(tmp_path / "runs.db"), resources=resources) as executor:
                run = await executor.start(agent, "x", run_id="r", labels={"tenant": "globex"})
                return await run.result()

    assert asyncio.run(main()) == "globex"
    assert {(ctx.run_id, ctx.node, ctx.path, ctx.attempt) for ctx in seen} == {("r", "writer", (), 1)}
    with pytest.raises(OutputUnavailableError, match="Run r: writer: the output of writer is not there"):
        seen[-1].output(agent)
    with pytest.raises(OutputUnavailableError, match="the run's input"):
        seen[-1].input(agent)
    with pytest.raises(OutputUnavailableError, match="idempotency key"):
        _ = seen[-1].idempotency_key


def test_agents_share_the_connections_of_a_client(tenants: dict[str, Simulator], tmp_path: Path) -> None:
    """One connection serves all requests of both agents, because they follow each other."""
    opened: list[str] = []

    async def trace(event: str, _: object) -> None:
        if event == "connection.connect_tcp.complete":
            opened.append(event)

    async def traced(request: httpx2.Request) -> None:
        request.extensions["trace"] = trace

    async def main() -> str:
        http = DefaultAsyncHttpxClient(event_hooks={"request": [traced]})
        async with (
            tenants["acme"].client(http_client=http) as client,
            Executor(SQLiteStore(tmp_path / "runs.db")) as executor,
        ):
            agent = writer({"acme": client})
            other = Agent("other", model="m", client=lambda _: client, polling=FAST)
            workflow = Workflow[Any, Any]("w", start=agent, end=other)
            workflow.edge(agent, other)
            run = await executor.start(workflow, "x", labels={"tenant": "acme"})
            return await run.result()

    assert asyncio.run(main()) == "acme"
    assert len(tenants["acme"].ledger().requests) >= 4
    assert len(opened) == 1


def test_there_is_one_adapter_for_a_client_as_long_as_there_is_the_client() -> None:
    clients = {name: AsyncOpenAI(api_key=name) for name in ("acme", "globex")}
    operation = ResponsesPerContext(lambda context: clients[context.labels["tenant"]])
    acme = operation.in_context(context(tenant="acme"))
    assert operation.in_context(context(tenant="acme")) is acme
    assert operation.in_context(context(tenant="globex")) is not acme
    gone = weakref.ref(clients.pop("globex"))
    gc.collect()
    assert gone() is None


def test_an_agent_that_is_run_alone_has_a_context_without_a_run(tenants: dict[str, Simulator]) -> None:
    async def main() -> None:
        async with tenants["acme"].client() as client:
            await alone(client)

    async def alone(client: AsyncOpenAI) -> None:
        agent = Agent("writer", model="m", client=lambda ctx: {"": client}[ctx.run_id], polling=FAST)
        assert (await agent.run("x")).output == "acme"
        begun = await agent.run("x", background=True)
        assert begun.continuation_token is not None
        by_tenant = writer({"acme": client})
        with pytest.raises(
            SubmissionRejectedError, match=r"Agent 'writer' has no client.*no labels.*run alone"
        ):
            await by_tenant.run("x")
        with pytest.raises(ProviderUnavailableError, match="run alone"):
            await by_tenant.run(continuation_token=begun.continuation_token)
        pieces = [update.text async for update in agent.run("x", stream=True)]
        assert "".join(pieces) == "acme"

    asyncio.run(main())
    assert len(tenants["acme"].ledger().submissions()) == 3

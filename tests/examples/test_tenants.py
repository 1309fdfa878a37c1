"""Two customers with a key and a provider each, and a process that is killed: each run goes on at its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from perdure import SyncClient
from perdure.simulator import Answer, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .programs import PATIENCE, Program, environment

APP = "examples.embedding.tenants:dossier"
TENANTS = ("acme", "globex")


@pytest.fixture
def providers(simulator: Simulator, tmp_path: Path) -> Generator[dict[str, Simulator]]:
    """A simulator for each tenant, and the file that says so. The third is the default client's."""
    with Simulator() as acme, Simulator() as globex:
        both = {"acme": acme, "globex": globex}
        accounts = {
            name: {"api_key": f"sk-simulated-{name}", "base_url": provider.base_url}
            for name, provider in both.items()
        }
        (tmp_path / "tenants.json").write_text(json.dumps(accounts))
        yield both
    assert simulator.ledger().requests == ()


def killed_while_it_waits(folder: Path, simulator: Simulator, provider: Simulator, tenant: str) -> None:
    """A process that dies by SIGKILL when the provider has its first response."""
    with Program(
        folder, simulator.env, "examples.embedding.tenants", tenant, "otters", name=tenant
    ) as program:
        program.printed(f"started {tenant}-1")
        deadline = time.monotonic() + PATIENCE
        while not any(request.method == "GET" for request in provider.ledger().requests):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        program.process.kill()


def perdure(folder: Path, simulator: Simulator, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perdure.inspector", *arguments],
        cwd=folder,
        env=environment(simulator.env),
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_after_a_kill_each_run_goes_on_with_its_own_key(
    simulator: Simulator, providers: dict[str, Simulator], tmp_path: Path
) -> None:
    for name, provider in providers.items():
        provider.script(
            Rule(match=Match(contains="otters"), answer=Answer(text=f"notes of {name}", duration=2.0)),
            Rule(answer=Answer(text=f"briefing of {name}", duration=0.1)),
        )
        killed_while_it_waits(tmp_path, simulator, provider, name)
    resumed = perdure(tmp_path, simulator, "resume", "acme-1", "--app", APP)
    assert (resumed.returncode, "briefing of acme" in resumed.stdout) == (0, True), resumed.stderr
    with Program(tmp_path, simulator.env, "examples.embedding.tenants", "globex", "otters") as program:
        program.printed("briefing of globex")
    for name, provider in providers.items():
        asked = provider.ledger().submissions()
        assert [request.body["metadata"]["run"] for request in asked] == [f"{name}-1"] * 2


def test_after_a_kill_a_cancel_goes_to_the_run_s_own_provider(
    simulator: Simulator, providers: dict[str, Simulator], tmp_path: Path
) -> None:
    for name, provider in providers.items():
        provider.script(Rule(answer=Answer(duration=60.0)))
        killed_while_it_waits(tmp_path, simulator, provider, name)
    refused = perdure(tmp_path, simulator, "cancel", "globex-1")
    assert refused.returncode == 1
    assert "only the workflow knows with which client" in refused.stderr
    assert "--app" in refused.stderr
    cancelled = perdure(tmp_path, simulator, "cancel", "globex-1", "--app", APP)
    assert cancelled.returncode == 0, cancelled.stderr
    assert [response.status for response in providers["globex"].ledger().accepted()] == ["cancelled"]
    (undisturbed,) = providers["acme"].ledger().accepted()
    assert undisturbed.status in ("queued", "in_progress")


def test_a_tenant_that_nobody_knows_commits_nothing(
    simulator: Simulator, providers: dict[str, Simulator], tmp_path: Path
) -> None:
    with Program(tmp_path, simulator.env, "examples.embedding.tenants", "initech", "otters") as program:
        program.printed(r"Run initech-1: researcher has no client: KeyError: 'initech'")
        assert program.process.wait(PATIENCE) == 1
    with SyncClient(tmp_path / "perdure.db") as client:
        assert client.runs() == []
    for provider in providers.values():
        assert provider.ledger().requests == ()

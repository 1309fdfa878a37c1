"""`perdure.testing` as a package: what it exports, and what importing it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from perdure import testing
from perdure.nodes import Agent
from perdure.simulator import Answer, Rule, Simulator
from perdure.testing import simulator as simulator


def test_every_name_is_there() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    ["import perdure.testing", "from perdure.testing import Clock, kill_everywhere, run, run_sync"],
)
def test_it_needs_no_pytest_and_no_web_server(statement: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(told.stdout)}
    assert loaded & {"pytest", "starlette", "uvicorn", "openai", "jinja2"} == set()


async def test_the_fixture_is_a_provider_to_ask(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="They float.", duration=0.0)))
    async with simulator.client() as client:
        response = await Agent("thinker", model="o3", client=client).run("Otters?")
    assert response.text == "They float."
    assert len(simulator.ledger().accepted()) == 1

"""`run` and `run_sync`: from the input to the result in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from perdure.engine import RunFailedError
from perdure.engine.errors import LoopRunningError
from perdure.engine.one_liners import run, run_sync
from perdure.nodes import Context, node

from .bench import chain, first, perform, raises, second


@node
async def fail(text: str) -> str:
    raise ValueError(text)


@node
async def interrupt(text: str) -> str:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)
    return text


def test_a_run_in_one_line(tmp_path: Path) -> None:
    db = tmp_path / "p.db"
    assert run_sync(chain("w", first, second), "x", run_id="r", db=db) == "x12"
    assert run_sync(first, "x", db=db) == "x1"
    assert perform(run(chain("w", first, second), "x", run_id="r", db=db)) == "x12"


@node
async def look(ctx: Context) -> str:
    return ctx.run_id


@node
def peek(ctx: Context) -> str:
    return f"{ctx.output(look)}, attempt {ctx.attempt}"


def test_nodes_that_read_their_context_alone_take_any_input(tmp_path: Path) -> None:
    db = tmp_path / "p.db"
    assert run_sync(chain("w", look, peek), "not read", run_id="r", db=db) == "r, attempt 1"


def test_a_running_loop_is_told_what_to_write(tmp_path: Path) -> None:
    async def test() -> None:
        with raises(LoopRunningError, "await perdure.run("):
            run_sync(first, "x", db=tmp_path / "p.db")

    perform(test())


def test_a_failure_says_how_to_retry(tmp_path: Path) -> None:
    with raises(RunFailedError, "perdure retry r"):
        run_sync(chain("w", first, fail), "x", run_id="r", db=tmp_path / "p.db")


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_sync(chain("w", interrupt, second), "x", run_id="r", db=tmp_path / "p.db")
    assert "run_id='r'" in capsys.readouterr().err

"""The main job, for `make demo`: start a pipeline, kill -9 it in the middle, look, resume, count the submissions.

Asks the simulator, and the real API when OPENAI_API_KEY is set. Exits with 1 if anything was submitted twice. With
`--write README.md` what it prints becomes that file's block of console output.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.provider import provider

RUN = "otters-1"
STEPS = (
    ("start a pipeline of background agents, and kill -9 it", "python pipeline.py & sleep 7; kill -9 $!"),
    ("where it stands, and what is out at the provider and paid for", f"perdure show {RUN}"),
    ("", "perdure tokens"),
    ("resume", f"perdure resume {RUN} --app pipeline:briefing"),
    ("the whole of it", f"perdure show {RUN}"),
)
BLOCK = re.compile(r"(?<=^```console\n)\$ python pipeline\.py.*?(?=^```$)", re.DOTALL | re.MULTILINE)
"""The README's block."""


def say(text: str) -> None:
    """A heading."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def play(folder: Path, environment: dict[str, str], *, record: bool) -> tuple[int, str]:
    """Run the steps as a user would, in sight: the exit code of the last one, and what was printed, if it is recorded."""
    code, printed = 0, ""
    for heading, command in STEPS:
        if heading:
            say(heading)
        print(f"$ {command}", flush=True)
        shell = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE if record else None,
            text=True,
        )
        output = "" if shell.stdout is None else shell.stdout.read()
        code = shell.wait()
        print(output, end="", flush=True)
        printed += f"$ {command}\n{output}"
    return code, printed


def asked(environment: dict[str, str], folder: Path) -> tuple[int, int]:
    """How many agent runs the finished run has, and how many submissions were made for them, by the checkpoint log."""

    def told(*command: str) -> list[dict[str, object]]:
        perdure = ["perdure", "-o", "json", *command]
        done = subprocess.run(
            perdure, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    intended = [event for event in told("events", RUN) if event["type"] == "submission_intended"]
    return len({(event["node"], str(event["path"])) for event in intended}), len(intended)


def demo(folder: Path, write: Path | None) -> int:
    """The whole show; the exit code."""
    shutil.copy(Path(__file__).with_name("pipeline.py"), folder)
    with provider(duration=4.0) as simulator:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PERDURE_DB": str(folder / "perdure.db")}
        if write is not None:
            environment["COLUMNS"] = "100"
        code, printed = play(folder, environment, record=write is not None)
        if code:
            return code
        say("the bill")
        agents, submissions = asked(environment, folder)
        whose = "the checkpoint log"
        if simulator is not None:
            submissions, whose = simulator.ledger().summary["submissions_received"], "the provider's ledger"
        print(f"agent runs: {agents}, submissions by {whose}: {submissions}")
        if submissions != agents:
            print("This should not happen.", file=sys.stderr)
            return 1
        print("Nothing was lost, nothing was paid for twice.")
    if write is not None:
        page, found = BLOCK.subn(lambda _: printed, write.read_text(encoding="utf-8"), count=1)
        assert found, f"{write} has no block of console output that begins with the pipeline's start"
        write.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put what is printed into this file's block"
    )
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="perdure-demo-") as temporary:
            sys.exit(demo(Path(temporary), options.write))
    except KeyboardInterrupt:
        sys.exit(130)

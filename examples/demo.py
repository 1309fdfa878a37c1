"""The main job, for `make demo`: start a pipeline, kill -9 it in the middle, look, resume, count the submissions.

Asks the simulator, and the real API when OPENAI_API_KEY is set. Exits with 1 if anything was submitted twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from examples.provider import provider

TOPIC = "sea otters"
RUN = "otters-1"
QUESTIONS = 3
EXPECTED = QUESTIONS + 2
"""Submissions of the whole pipeline: one per question, the review, the edit."""
PERDURE = [sys.executable, "-m", "perdure.inspector"]


def say(text: str) -> None:
    """A heading."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def shell(command: list[str], *, shown: str) -> int:
    """Run a command as a user would, in sight."""
    print(f"$ {shown}", flush=True)
    return subprocess.run(command, check=False).returncode


def in_flight(db: Path) -> int:
    """How many continuation tokens are out at the provider."""
    command = [*PERDURE, "--db", str(db), "-o", "json", "tokens"]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    return len(json.loads(told.stdout)) if told.returncode == 0 else 0


def submissions(db: Path) -> int:
    """How many submissions the checkpoint log knows of."""
    command = [*PERDURE, "--db", str(db), "-o", "json", "events", RUN]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return sum(event["type"] == "submission_intended" for event in json.loads(told.stdout))


def demo(folder: Path) -> int:
    """The whole show; the exit code."""
    db = folder / "perdure.db"
    os.environ["PERDURE_DB"] = str(db)
    with provider(duration=6.0) as simulator:
        say("start a pipeline of background agents")
        print(f'$ python -m examples.briefing "{TOPIC}" --run-id {RUN}', flush=True)
        start = [sys.executable, "-m", "examples.briefing", TOPIC, "--run-id", RUN, "--db", str(db)]
        child = subprocess.Popen(start)
        deadline = time.monotonic() + 120
        while in_flight(db) < 2:
            if child.poll() is not None or time.monotonic() > deadline:
                print("The pipeline ended before two runs were in flight; nothing to kill.", file=sys.stderr)
                child.kill()
                return 1
            time.sleep(0.1)

        say("kill -9, while its runs are in flight at the provider")
        child.kill()
        print(f"$ kill -9 {child.pid}        # exit code {child.wait()}", flush=True)

        say("what is left: every continuation token, in SQLite")
        shell([*PERDURE, "show", RUN], shown=f"perdure show {RUN}")
        shell([*PERDURE, "tokens"], shown="perdure tokens")

        say("resume")
        app = "examples.briefing:briefing"
        code = shell([*PERDURE, "resume", RUN, "--app", app], shown=f"perdure resume {RUN} --app {app}")
        shell([*PERDURE, "show", RUN], shown=f"perdure show {RUN}")

        say("the bill")
        made = submissions(db) if simulator is None else simulator.ledger().summary["submissions_received"]
        whose = "the checkpoint log" if simulator is None else "the provider's ledger"
        print(f"submissions by {whose}: {made}, expected: {EXPECTED}")
        if code == 0 and made == EXPECTED:
            print("Nothing was lost, nothing was paid for twice.")
            return 0
        print("This should not happen.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory(prefix="perdure-demo-") as folder:
            sys.exit(demo(Path(folder)))
    except KeyboardInterrupt:
        sys.exit(130)

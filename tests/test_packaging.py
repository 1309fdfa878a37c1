"""What is shipped: the wheel and the sdist hold what they must, and the wheel works where nothing else is.

Built and installed once, from a copy of the tree, into a new environment in a temporary folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from perdure.simulator import Simulator

ROOT = Path(__file__).parents[1]
FACE = "api"
FOLDERS = (FACE, "checkpoints", "nodes", "engine", "inspector", "simulator")
LEFT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "*.db", "*.db-*")
"""What the tree holds besides the project."""

pytestmark = pytest.mark.timeout(600)  # the first test waits for the build and the installation


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def place_of(file: Path) -> Path:
    """Where a file of the library is once it is installed: `api` is the package itself."""
    return Path("perdure", *(file.parts[1:] if file.parts[0] == FACE else file.parts))


def library(pattern: str) -> list[Path]:
    """Files of the library, relative to the tree."""
    return sorted(
        file.relative_to(ROOT)
        for folder in FOLDERS
        for file in (ROOT / folder).rglob(pattern)
        if "__pycache__" not in file.parts
    )


@dataclass(frozen=True)
class Built:
    """What `python -m build` made."""

    tree: Path
    wheel: Path
    sdist: Path

    @property
    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    @property
    def in_sdist(self) -> set[str]:
        """Without the folder that holds all of it."""
        with tarfile.open(self.sdist) as archive:
            return {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel that was built from it."""
    tree, out = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, tree, ignore=LEFT)
    told = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", out, tree], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(tree, wheel, sdist)


@dataclass(frozen=True)
class Installed:
    """A new environment with nothing but the wheel, and a folder to work in."""

    bin: Path
    folder: Path
    environment: dict[str, str]

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        program, *rest = command
        return subprocess.run(
            [self.bin / program, *rest],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *command: str) -> Any:
        told = self.run("perdure", "-o", "json", *command)
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)


@pytest.fixture(scope="session")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment's programs."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    install = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    told = subprocess.run(
        [*install, f"{built.wheel}[simulator]"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return place / "bin"


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    """Nothing of this process's environment leads back to the tree."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PERDURE", "OPENAI"))
    }
    kept.pop("VIRTUAL_ENV", None)
    return Installed(environment, tmp_path, {**kept, "HOME": str(tmp_path)})


# -- what is in it ---------------------------------------------------------------------------------------


def test_the_packages_that_are_listed_are_the_folders_that_hold_python() -> None:
    settings = project()["tool"]["setuptools"]
    folders = {".".join(place_of(file).parent.parts) for file in library("*.py")}
    assert set(settings["packages"]) == folders
    assert len(settings["packages"]) == len(folders)
    assert settings["package-dir"] == {".".join(place_of(Path(folder)).parts): folder for folder in FOLDERS}


def test_every_folder_says_that_it_is_typed() -> None:
    assert [file.parts[0] for file in library("py.typed")] == sorted(FOLDERS)


def test_the_wheel_holds_the_library_whole_and_nothing_else(built: Built) -> None:
    shipped = {str(place_of(file)) for pattern in ("*.py", "*.sql", "py.typed") for file in library(pattern)}
    others = {str(place_of(file)) for file in library("*") if (ROOT / file).is_file()}
    assert others == shipped, "a kind of file that no rule ships"
    inside = built.in_wheel
    assert {name for name in inside if name.startswith("perdure/")} == shipped
    assert {re.sub(r"^perdure-[\d.]+\.dist-info/.*", "info", name) for name in inside - shipped} == {"info"}
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_the_sdist_holds_all_that_the_project_is_made_of(built: Built) -> None:
    wanted = {
        str(file.relative_to(built.tree))
        for folder in (*FOLDERS, "tests", "examples", "benchmarks", "docs")
        for file in (built.tree / folder).rglob("*")
        if file.is_file()
    }
    wanted |= {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "MANIFEST.in", "pyproject.toml"}
    inside = built.in_sdist
    assert wanted - inside == set()
    made = {name for name in inside - wanted if not name.startswith("perdure.egg-info/")}
    assert made == {"PKG-INFO", "setup.cfg"}


def test_nothing_that_is_shipped_names_the_place_where_it_was_made(built: Built) -> None:
    places = {f"{place}/".encode() for place in (ROOT, built.tree, Path(sys.prefix)) if len(place.parts) > 2}
    with tarfile.open(built.sdist) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            data = b"" if file is None else file.read()
            assert not [place for place in places if place in data], member.name


# -- that it works ---------------------------------------------------------------------------------------


def test_the_program_is_there_and_knows_its_version(installed: Installed) -> None:
    told = installed.run("perdure", "--version")
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[-1] == project()["project"]["version"]
    assert installed.run("python", "-m", "perdure.inspector", "--version").stdout == told.stdout
    where = installed.run("python", "-c", "import perdure.engine; print(perdure.engine.__file__)").stdout
    assert str(ROOT) not in where
    assert str(installed.bin.parent) in where


PIPELINE = """
import asyncio
from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import node

@node
async def words(text: str) -> list[str]:
    return text.split()

@node
def shout(word: str) -> str:
    return word.upper()

@node
async def glue(words: list[str]) -> str:
    return " ".join(words)

shouting = Workflow("shouting", start=words, end=glue)
shouting.map(words, shout)
shouting.collect(shout, glue)

async def main() -> None:
    async with Executor(SQLiteStore("perdure.db")) as executor:
        print(await (await executor.start(shouting, "sea otters", run_id="otters")).result())

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_pipeline_of_functions_runs_and_is_listed(installed: Installed) -> None:
    missing = installed.run("perdure", "runs")
    assert missing.returncode == 3  # not found
    assert "perdure.db" in missing.stderr
    (installed.folder / "pipeline.py").write_text(PIPELINE)
    told = installed.run("python", "pipeline.py")
    assert (told.stdout, told.stderr) == ("SEA OTTERS\n", "")
    (listed,) = installed.json("runs")
    assert (listed["id"], listed["workflow"], listed["status"]) == ("otters", "shouting", "succeeded")
    assert "otters" in installed.run("perdure", "runs").stdout
    assert installed.run("perdure", "graph", "otters").returncode == 0


AGENTS = """
import asyncio
from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import Agent, node

researcher = Agent("researcher", model="o3")

@node
async def plan(topic: str) -> list[str]:
    return [f"{topic}: history", f"{topic}: today"]

@researcher.node
def research(question: str) -> str:
    return f"Investigate: {question}"

@node
async def publish(findings: list[str]) -> str:
    return " / ".join(findings)

briefing = Workflow("briefing", start=plan, end=publish)
briefing.map(plan, research)
briefing.collect(research, publish)

async def main() -> None:
    async with Executor(SQLiteStore("perdure.db")) as executor:
        await (await executor.start(briefing, "otters", run_id="r")).result()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def provider(installed: Installed) -> Generator[dict[str, str]]:
    """The wheel's own simulator, by its command; what points a program at it."""
    db = installed.folder / "simulator.db"
    command = [
        str(installed.bin / "perdure"),
        "simulate",
        "--port",
        "0",
        "--db",
        str(db),
        "--duration",
        "1.5",
    ]
    with subprocess.Popen(
        command, cwd=installed.folder, env=installed.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(r"OPENAI_BASE_URL=(\S+)", line)
                if found:
                    break
            else:
                pytest.fail("the simulator does not say where it listens")
            yield {"OPENAI_BASE_URL": found[1], "OPENAI_API_KEY": Simulator.api_key}
        finally:
            process.terminate()


def test_a_killed_pipeline_of_agents_is_resumed_from_the_command_line(
    installed: Installed, provider: dict[str, str]
) -> None:
    (installed.folder / "agents.py").write_text(AGENTS)
    with subprocess.Popen(
        [installed.bin / "python", "agents.py"],
        cwd=installed.folder,
        env={**installed.environment, **provider},
    ) as child:
        try:
            deadline = time.monotonic() + 60
            while not (installed.folder / "perdure.db").exists() or len(_tokens(installed)) < 2:
                assert child.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            child.kill()
    resumed = installed.run("perdure", "resume", "r", "--app", "agents:briefing", **provider)
    assert resumed.returncode == 0, resumed.stderr
    assert "history" in resumed.stdout
    (listed,) = installed.json("runs")
    assert listed["status"] == "succeeded"
    intended = [event for event in installed.json("events", "r") if event["type"] == "submission_intended"]
    assert len(intended) == 2
    assert _tokens(installed) == []


def _tokens(installed: Installed) -> list[object]:
    told = installed.run("perdure", "-o", "json", "tokens")
    return json.loads(told.stdout) if told.returncode == 0 else []

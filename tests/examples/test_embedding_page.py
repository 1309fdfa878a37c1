"""The page on embedding shows the programs as they are run."""

from __future__ import annotations

import re

import pytest

from .cells import sources
from .programs import ROOT

FOLDER = ROOT / "examples" / "embedding"
PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
FILES = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
SHOWN = re.compile(r"^`(examples/\S+\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_program_is_shown_as_it_is() -> None:
    assert dict(SHOWN.findall(PAGE)) == {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in FILES
    }


def test_every_other_block_is_a_cell_of_the_notebook() -> None:
    assert BLOCK.findall(SHOWN.sub("", PAGE)) == [f"{cell}\n" for cell in sources(FOLDER / "notebook.ipynb")]


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^):]+)\)", PAGE))))
def test_links_lead_somewhere(link: str) -> None:
    file, _, heading = link.partition("#")
    assert (ROOT / "docs" / file).exists()
    if heading:
        headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_service_is_started_as_it_is_written() -> None:
    command = "uvicorn examples.embedding.service:app --timeout-graceful-shutdown 2"
    assert f"\n{command}\n" in PAGE
    assert command in (FOLDER / "service.py").read_text(encoding="utf-8")

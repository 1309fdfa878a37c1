"""`examples.review_document` reviews each section of a file, and puts the remarks together in its order."""

from __future__ import annotations

from pathlib import Path

import pytest
from perdure import testing
from perdure.engine import RunFailedError

from examples.review_document import LONGEST, Remarks, criticise, review_document, split


def test_the_report_has_a_part_for_each_section_in_order(tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_text("# First\n\nWe begin.\n\n## Second\n\nWe end.\n", encoding="utf-8")
    done = testing.run_sync(
        review_document,
        str(file),
        agents={
            criticise: [
                Remarks(verdict="Good.", remarks=["None."]),
                Remarks(verdict="Thin.", remarks=["Say how.", "Say when."]),
            ]
        },
    )
    assert done.output == (
        "# Review\n\n## First\n\nGood.\n\n- None.\n\n## Second\n\nThin.\n\n- Say how.\n- Say when."
    )
    assert done.prompts[criticise] == [
        "Review this section, titled 'First':\n\n# First\n\nWe begin.",
        "Review this section, titled 'Second':\n\n## Second\n\nWe end.",
    ]


def test_a_long_section_is_reviewed_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "long.md"
    file.write_text(
        "# Long\n\n" + "word " * (LONGEST // 10) + "\n\n" + "more " * (LONGEST // 6), encoding="utf-8"
    )
    remarks = Remarks(verdict="Long.", remarks=[])
    done = testing.run_sync(review_document, str(file), agents={criticise: remarks})
    (sections,) = done.outputs(split)
    assert [section.title for section in sections] == ["Long (1 of 2)", "Long (2 of 2)"]
    assert done.output.count("Long.") == 2


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "empty.md"
    file.touch()
    with pytest.raises(RunFailedError, match="there is nothing to review"):
        testing.run_sync(review_document, str(file))

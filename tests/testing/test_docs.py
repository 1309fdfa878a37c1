"""The examples of `docs/testing.md` are a test module that passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_the_examples_pass_as_they_are_written(tmp_path: Path) -> None:
    pipeline, *tests = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "pipeline.py").write_text(pipeline, encoding="utf-8")
    (tmp_path / "test_pipeline.py").write_text("\n\n".join(tests), encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pipeline.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(test.count('def test_') for test in tests)} passed" in done.stdout

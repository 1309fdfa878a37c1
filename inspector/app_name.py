"""Where the name of the user's app comes from. Nothing is imported here."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from ..checkpoints.errors import PerdureError


class AppNotFoundError(PerdureError):
    """No app was named, or what was named is not there or is no workflow."""


def find_app(named: str | None) -> tuple[str, str] | None:
    """The name and what said it: `--app`, else PERDURE_APP, else `[tool.perdure] app` in ./pyproject.toml.

    Raises `AppNotFoundError` when pyproject.toml can't be read.
    """
    if named:
        return named, "--app"
    if os.environ.get("PERDURE_APP"):
        return os.environ["PERDURE_APP"], "PERDURE_APP"
    project = Path("pyproject.toml")
    if project.is_file():
        try:
            settings = tomllib.loads(project.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise AppNotFoundError(
                f"pyproject.toml can't be read: {error}. Fix it, or name the app with --app."
            ) from error
        app = settings.get("tool", {}).get("perdure", {}).get("app")
        if isinstance(app, str) and app:
            return app, "pyproject.toml, [tool.perdure] app"
    return None

"""Loading the user's workflows. Where their name comes from is in `app_name.py`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from ...checkpoints.errors import PerdureError
from ...engine.graph import Workflow
from ..app_name import AppNotFoundError, find_app

AnyWorkflow: TypeAlias = Workflow[Any, Any]


class AppBrokenError(PerdureError):
    """The app's module raised while it was imported; the exception is the `__cause__`."""


def load_app(named: str | None) -> Sequence[AnyWorkflow]:
    """The workflows of the app, which `--app` names or the environment or the project.

    Raises `AppNotFoundError`, `AppBrokenError`.
    """
    name = find_app(named)
    if name is None:
        raise AppNotFoundError(
            "Driving a run needs your workflows. Name them with --app module:attribute (a Workflow or a list of them), "
            "with PERDURE_APP, or in pyproject.toml as [tool.perdure] app."
        )
    text, origin = name
    module_name, colon, attribute = text.partition(":")
    if (
        not colon
        or module_name.endswith(".py")
        or not all(part.isidentifier() for part in f"{module_name}.{attribute}".split("."))
    ):
        raise AppNotFoundError(
            f"{origin} {text!r}: this is no module:attribute. Write it like pipeline:briefing, without .py."
        )
    module = _import(module_name, f"{origin} {text}")
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            known = ", ".join(_workflows_in(module)) or "none"
            raise AppNotFoundError(
                f"{origin} {text}: {module_name} has no attribute {attribute}. Its workflows: {known}."
            ) from None
    return _workflows(found, f"{origin} {text}", module)


def _import(name: str, origin: str) -> object:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise AppNotFoundError(
                f"{origin}: there is no module {error.name} in {folder}, nor is one installed. "
                "Run this in the folder of your module."
            ) from None
        raise AppBrokenError(
            f"{origin}: {name} imports {error.name}, which is not installed here. Install it."
        ) from error
    except (Exception, SystemExit) as error:
        raise AppBrokenError(
            f"{origin}: importing {name} raised {type(error).__name__}: {error}. Fix it; -v shows the traceback."
        ) from error


def _workflows(found: object, origin: str, module: object) -> Sequence[AnyWorkflow]:
    items: Sequence[object] = cast("Sequence[object]", found) if isinstance(found, list | tuple) else [found]
    for item in items:
        if not isinstance(item, Workflow):
            known = ", ".join(_workflows_in(module)) or "none"
            raise AppNotFoundError(
                f"{origin}: this is of the type {type(item).__name__}, not a Workflow or a list of them. The module's "
                f"workflows: {known}."
            )
    if not items:
        raise AppNotFoundError(f"{origin}: the list is empty. Put your workflows into it.")
    return cast("Sequence[AnyWorkflow]", items)


def _workflows_in(module: object) -> list[str]:
    return sorted(name for name, value in vars(module).items() if isinstance(value, Workflow))

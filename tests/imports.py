"""What the library's modules import, read from their source: imports in functions and under `TYPE_CHECKING` count.

`test_layers` asks about the library; `test_imports` checks the answers on small trees.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "checkpoints": frozenset(),
    "nodes": frozenset({"checkpoints"}),
    "engine": frozenset({"checkpoints", "nodes"}),
    "temporal": frozenset({"checkpoints", "engine", "nodes"}),
    "simulator": frozenset(),
    "inspector": frozenset({"api", "checkpoints", "engine", "nodes", "simulator", "temporal"}),
    "api": frozenset({"checkpoints", "engine", "inspector", "nodes", "simulator", "temporal"}),
}
"""The folders of the library, and the others that each may import."""

FACE = "api"
"""The folder that is `perdure` itself; any other folder is `perdure.<folder>`."""

CORE_STANDARD_LIBRARY = sys.stdlib_module_names - {
    *("asyncio", "concurrent", "multiprocessing", "subprocess", "threading"),
    *("http", "logging", "os", "pathlib", "select", "selectors", "shutil", "socket", "sqlite3", "tempfile"),
    *("random", "secrets", "time", "uuid"),
}
"""What the pure core may import: no concurrency, no IO, no clock, no randomness."""
CORE_OWN = ("perdure.checkpoints.errors", "perdure.checkpoints.records", "perdure.engine.core")
"""The modules of ours that the pure core may import, with their submodules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import of one name."""

    line: int
    module: str
    """Absolute: `perdure.nodes.errors`, `asyncio`. For `from m import x`: `m.x` if that is one of our modules, else
    `m`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """One file of the library."""

    name: str
    """`perdure.nodes.errors`; a package for its `__init__.py`."""
    folder: str
    """The folder at the root that it lives in."""
    path: Path
    """Relative to the root."""
    imports: tuple[Import, ...]


def read_library(root: Path) -> dict[str, Module]:
    """Every module of the folders that exist, by name."""
    names = {
        _name(file.relative_to(root)): file
        for folder in MAY_IMPORT
        for file in sorted((root / folder).rglob("*.py"))
    }
    return {
        name: Module(
            name=name,
            folder=file.relative_to(root).parts[0],
            path=file.relative_to(root),
            imports=tuple(_imports(name, file, names)),
        )
        for name, file in names.items()
    }


def upward_imports(library: Mapping[str, Module], folder: str) -> list[str]:
    """The imports of this folder that `MAY_IMPORT` does not allow: `nodes/agent.py:7 imports perdure.engine`."""
    allowed = MAY_IMPORT[folder] | {folder}
    return [
        f"{module.path}:{found.line} imports {found.module}"
        for module in library.values()
        if module.folder == folder
        for found in module.imports
        if _is_ours(found.module) and _folder_of(found.module, library) not in allowed
    ]


def private_imports(library: Mapping[str, Module]) -> list[str]:
    """The imports of private modules (`_driver`) from outside of their package, which may be imported by what lies in it.

    As `engine/executor.py:7 imports perdure.engine.runtime._driver`.
    """
    return [
        f"{module.path}:{found.line} imports {found.module}"
        for module in library.values()
        for found in module.imports
        if _is_ours(found.module)
        and not all(_lies_in(module.name, package) for package in _private_to(found.module))
    ]


def circles_within(library: Mapping[str, Module], folder: str) -> list[str]:
    """The import circles among the modules of one folder."""
    modules = {name: module for name, module in library.items() if module.folder == folder}
    return [_spelled(circle) for circle in _circles(modules)]


def circles_across(library: Mapping[str, Module]) -> list[str]:
    """The import circles that pass through more than one folder."""
    return [
        _spelled(circle) for circle in _circles(library) if len({library[name].folder for name in circle}) > 1
    ]


def impurities(module: Module, root: Path) -> list[str]:
    """What a module of the pure core uses besides computation: forbidden imports, and the clock in `datetime`."""
    forbidden = [
        f"{module.path}:{found.line} imports {found.module}"
        for found in module.imports
        if not _is_pure(found.module)
    ]
    return forbidden + [
        f"{module.path}:{line} reads the clock" for line in _clock_readings(root / module.path)
    ]


def _name(path: Path) -> str:
    parts = ("perdure", *(path.parts[1:] if path.parts[0] == FACE else path.parts))
    return ".".join(parts[:-1] if path.name == "__init__.py" else (*parts[:-1], path.stem))


def _imports(name: str, file: Path, modules: Collection[str]) -> Iterator[Import]:
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(line=node.lineno, module=alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            assert base or not node.level, f"{file}:{node.lineno} imports from outside the library"
            source = ".".join([*base, *(node.module.split(".") if node.module else ())])
            for alias in node.names:
                submodule = f"{source}.{alias.name}"
                yield Import(line=node.lineno, module=submodule if submodule in modules else source)


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == "perdure"


def _private_to(name: str) -> Iterator[str]:
    """The packages that a module is private to: for `perdure.engine._a.b` it is `perdure.engine`."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        if part.startswith("_") and not part.startswith("__"):
            yield ".".join(parts[:place])


def _lies_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def _folder_of(name: str, library: Mapping[str, Module]) -> str:
    """The folder of a module; a name that is no module is judged by its spelling."""
    if name in library:
        return library[name].folder
    return next((part for part in name.split(".")[1:2] if part in MAY_IMPORT), FACE)


def _circles(modules: Mapping[str, Module]) -> list[tuple[str, ...]]:
    """The shortest circle through each import that is part of one; each circle begins at its first name."""
    graph = {
        name: sorted({found.module for found in module.imports if found.module in modules})
        for name, module in modules.items()
    }
    circles: set[tuple[str, ...]] = set()
    for importer, imported in ((name, other) for name, others in graph.items() for other in others):
        path = _shortest_path(graph, imported, importer)
        if path is not None:
            first = path.index(min(path))
            circles.add((*path[first:], *path[:first]))
    return sorted(circles)


def _shortest_path(graph: Mapping[str, list[str]], start: str, end: str) -> tuple[str, ...] | None:
    paths, seen = deque[tuple[str, ...]]([(start,)]), {start}
    while paths:
        path = paths.popleft()
        if path[-1] == end:
            return path
        for other in graph[path[-1]]:
            if other not in seen:
                seen.add(other)
                paths.append((*path, other))
    return None


def _spelled(circle: tuple[str, ...]) -> str:
    return " -> ".join((*circle, circle[0]))


def _is_pure(name: str) -> bool:
    if _is_ours(name):
        return any(name == allowed or name.startswith(f"{allowed}.") for allowed in CORE_OWN)
    return name.split(".")[0] in CORE_STANDARD_LIBRARY


def _clock_readings(file: Path) -> Iterator[int]:
    """The lines that use `datetime.now` and its like, under whatever name the class was imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = {"date", "datetime"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "datetime"
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("now", "today", "utcnow"):
            owner = ast.unparse(node.value).split(".")[-1]
            if owner in classes:
                yield node.lineno

"""`Reference`: how a child process finds an object of the test's again, by its module and its name there."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

from .errors import FakeError


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A name at the top level of a module. Plain JSON."""

    module: str
    file: str | None
    """Where the module was loaded from, for those that can't be imported by name."""
    name: str
    """With dots, for what lies in a class."""

    def load(self) -> Any:
        """The object. Imports its module. Raises what the import raises, and `AttributeError`."""
        return attrgetter(self.name)(self._module())

    def _module(self) -> ModuleType:
        if self.module in sys.modules and self.module != "__main__":
            return sys.modules[self.module]
        if self.module != "__main__":
            try:
                module = importlib.import_module(self.module)
            except ModuleNotFoundError as error:
                if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                    raise  # the module is there, and one that it imports is not
            else:
                if self.file is None or module.__file__ == self.file:
                    return module
        return self._from_file()

    def _from_file(self) -> ModuleType:
        if self.file is None:
            raise ModuleNotFoundError(
                f"Module {self.module!r} has no file and can't be loaded by another process."
            )
        name = "__mp_main__" if self.module == "__main__" else self.module  # so that no main part runs
        spec = importlib.util.spec_from_file_location(name, self.file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def named(place: str) -> Reference:
    """The reference that `module:attribute` means. Imports the module. Raises `ValueError` for another text."""
    module, colon, name = place.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"{place!r} names nothing: write 'module:attribute', e.g. 'shop.orders:fulfil'.")
    return Reference(module=module, file=importlib.import_module(module).__file__, name=name)


def reference_to(value: object, what: str) -> Reference:
    """How to find this object again: a function by its own name, anything else by the module that holds it.

    Raises `FakeError`, which says how to name it, for one that no module has at its top level.
    """
    if isinstance(value, FunctionType):
        module = sys.modules.get(value.__module__)
        if module is not None and "<" not in value.__qualname__:
            found = Reference(module=value.__module__, file=module.__file__, name=value.__qualname__)
            if attrgetter(found.name)(module) is value:
                return found
    else:
        places = [
            Reference(module=module_name, file=file, name=name)
            for module_name, module in list(sys.modules.items())
            for name, held in list(getattr(module, "__dict__", {}).items())
            if held is value and (file := getattr(module, "__file__", None)) is not None
        ]
        if places:  # one that a test has imported is better loaded without the test
            return min(places, key=lambda place: place.module.rpartition(".")[2].startswith("test_"))
    raise FakeError(
        f"{what} can't be found by another process: no module holds it at its top level. Put it there, in a file of its "
        "own or in the test's."
    )

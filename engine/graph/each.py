"""`EachNode`: the hidden node that evaluates a map's `each`, once, so that the list is stored like any output."""

from __future__ import annotations

from collections.abc import Callable
from types import GenericAlias
from typing import Any, ClassVar

from ...checkpoints.errors import ValueNotStorableError
from ...nodes.node import Node
from ..errors import ItemsError
from ..failures import said


class EachNode(Node[Any, Any]):
    """Lies between a map's source and its target, as `<target>.items`: takes what the source gives, gives the list."""

    kind: ClassVar[str] = "each"

    def __init__(self, source: Node[Any, Any], target: Node[Any, Any], each: Callable[[Any], Any]) -> None:
        super().__init__(
            f"{target.name}.items", input=object, output=object
        )  # the properties say what they are
        self._from = source
        self._to = target
        self._each = each

    @property
    def source(self) -> str:
        """The name of the node whose output is taken apart."""
        return self._from.name

    @property
    def target(self) -> str:
        """The name of the node that runs once per item."""
        return self._to.name

    @property
    def input(self) -> object:
        """What the source gives."""
        return self._from.output

    @property
    def output(self) -> object:
        """A list of what the target takes."""
        return GenericAlias(list, self._to.input)

    def items(self, value: object, run_id: str) -> list[object]:
        """What `each` makes of the value. Raises `ItemsError` where it raises or gives no list."""
        try:
            found: object = self._each(value)
        except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
            raise
        except BaseException as error:
            raise self._error(f"raised {type(error).__name__}: {said(error)}", run_id) from error
        if not isinstance(found, list):
            raise self._error(f"gave {type(found).__name__}, and only a list can be mapped", run_id)
        return found  # pyright: ignore[reportUnknownVariableType]  # its items are checked where it is encoded

    def unstorable(self, error: ValueNotStorableError, run_id: str) -> ItemsError:
        """What to raise when the list can't be stored: most often an item is not of the type that the target takes."""
        return self._error(f"gave a list that {str(error).rstrip('.')}", run_id)

    def _error(self, problem: str, run_id: str) -> ItemsError:
        return ItemsError(
            f"the `each` of the map from {self.source} to {self.target} {problem}. The result of {self.source} is kept; fix "
            f"`each`, then retry run {run_id}."
        )

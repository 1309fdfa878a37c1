"""The small operations of the adapters' conformance kit as nodes, on a ledger that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perdure.nodes import Context, OnUnknownSubmit, OperationNode, Polling
from perdure.nodes.conformance import SMALL_OPERATIONS, Entry, Ledger
from perdure.nodes.operations import Json, Operation

QUICK = Polling(first=0.01, cap=0.02)


class Small:
    """One of them as the node `print`, whose input is the text and whose output what the ledger answered."""

    def __init__(self, kind: str, folder: Path, **options: Any) -> None:
        self.operation: Operation = SMALL_OPERATIONS[kind](folder, **options)
        self.ledger = Ledger(folder)

    def node(
        self,
        *,
        request: Callable[[Context], Mapping[str, Json]] = lambda _: {},
        finish: Callable[[Json], str] | None = None,
        retries: int = 0,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        polling: Polling = QUICK,
    ) -> OperationNode[str, str]:
        """The node; `request` gives what the ledger is to do beside repeating the text. It polls quickly by itself."""

        def ask(text: str, context: Context) -> Mapping[str, Json]:
            return {"text": text, **request(context)}

        def answered(value: Json) -> str:
            assert isinstance(value, dict)
            return str(value["text"])

        return OperationNode[str, str](
            "print",
            input=str,
            output=str,
            operation=self.operation,
            request=ask,
            finish=finish or answered,
            retries=retries,
            on_unknown_submit=on_unknown_submit,
            polling=polling,
        )

    @property
    def entries(self) -> list[Entry]:
        """All that the ledger has accepted, oldest first."""
        return self.ledger.of(self.operation.provider)

    @property
    def one(self) -> Entry:
        """The only one."""
        (entry,) = self.entries
        return entry

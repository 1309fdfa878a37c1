"""Fakes whose submissions outlive the process: a file is the provider, with a line for each thing that it was asked."""

from __future__ import annotations

import inspect
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perdure.engine.graph import Workflow
from perdure.nodes.errors import OperationExpiredError, SubmissionRejectedError
from perdure.nodes.node import Node
from perdure.nodes.operations.outcomes import Expired, Outcome
from perdure.nodes.operations.tokens import ContinuationToken, Json

from ._answers import encoded
from ._fakes import PROVIDER, agents_of, faked, finish_with, prompt_of, succeeded
from ._kill_job import Fake


def with_fakes(workflow: Workflow[Any, Any], fakes: Mapping[str, Fake], asked: Path) -> Workflow[Any, Any]:
    """The workflow with these in place of its agents."""
    agents = agents_of(workflow)
    return workflow.with_nodes(
        [
            faked(agents[name], DurableFakeOperation(agents[name], fake, asked), finish_with(agents[name]))
            for name, fake in fakes.items()
        ]
    )


def asked_in(file: Path) -> Counter[str]:
    """How often each node was submitted to its fake."""
    return Counter(str(line["node"]) for line in _lines(file))


class DurableFakeOperation:
    """The provider of one node. A submission has taken place once its line is in the file."""

    def __init__(self, node: Node[Any, Any], fake: Fake, asked: Path) -> None:
        self._node = node
        self._asked = asked
        self._answer = None if fake.answer is None else bytes.fromhex(fake.answer)
        self._function: Callable[[Any], object] | None = (
            None if fake.function is None else fake.function.load()
        )

    @property
    def provider(self) -> str:
        """`perdure.testing`."""
        return PROVIDER

    async def prepare(self) -> None:
        """Nothing to prepare."""

    def poll_after(self, token: ContinuationToken) -> float:
        """At once."""
        return 0.0

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """Write the line. Raises `SubmissionRejectedError` where the fake's function fails."""
        try:
            answer = await self._answer_to(prompt_of(request))
        except Exception as error:  # the boundary: it is the run's failure, which the test is told
            raise SubmissionRejectedError(
                f"The fake of {self._node.name!r} failed: {type(error).__name__}: {error}"
            ) from error
        handle = os.urandom(8).hex()
        line = {"node": self._node.name, "id": handle, "key": key, "answer": answer.hex()}
        file = os.open(self._asked, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        return ContinuationToken(provider=PROVIDER, handle={"id": handle}, created_at=0.0)

    async def _answer_to(self, prompt: object) -> bytes:
        if self._function is None:
            assert self._answer is not None
            return self._answer
        answer = self._function(prompt)
        if inspect.isawaitable(answer):
            answer = await answer
        return encoded(self._node, answer)

    async def poll(self, token: ContinuationToken) -> Outcome:
        """What the file holds."""
        for line in _lines(self._asked):
            if line["id"] == token.handle["id"]:
                return succeeded(bytes.fromhex(line["answer"]))
        return Expired(
            error=OperationExpiredError(f"The fake of {self._node.name!r} does not know {token.handle}.")
        )


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

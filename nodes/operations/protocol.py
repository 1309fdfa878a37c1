"""`Operation`: what every adapter of a long-running operation can do. What only some can is in `capabilities.py`.

An adapter belongs to one kind of operation at one provider. It keeps no state of an operation: everything is in the
request and in the token, so that any process can go on with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from .outcomes import Outcome
from .tokens import ContinuationToken, Json


@runtime_checkable
class Operation(Protocol):
    """One kind of operation at one provider, e.g. background runs of the OpenAI Responses API.

    The engine's order of things: `prepare`, commit the intent (request and key), `submit`, commit the token, then
    `poll` until the outcome is not `Running`. A process that dies before the intent's commit has sent nothing; one
    that dies between that and the token's commit leaves a submission of unknown fate; later, the token is there.
    """

    @property
    def provider(self) -> str:
        """The name that tokens of this adapter carry."""
        ...

    async def prepare(self) -> None:
        """Get ready to submit: import what is needed, make clients. Called before each intent is committed.

        What takes long here does not take it between the intent and the token. Raises `ProviderUnavailableError`
        when nothing can be sent from this process (no key).
        """
        ...

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """Start the operation; return as soon as the handle is known.

        `request` is exactly what was committed with the intent: the same request and key must send the same bytes.
        Never retries by itself. Raises `SubmissionRejectedError` when the provider certainly did not accept; any
        other exception means that it may have.
        """
        ...

    async def poll(self, token: ContinuationToken) -> Outcome:
        """Ask once. Changes nothing at the provider, however often it is called (unless the operation is `Once`).

        An inconclusive poll (429, 5xx, no connection) is `Running` with a `problem`. Raises
        `ProviderUnavailableError` when asking again can't help (401, 403): the operation may be alive.
        """
        ...

"""Errors of nodes: how a node is declared, and how a long-running operation can end other than well."""

from __future__ import annotations

from ..checkpoints.errors import PerdureError


class NodeDefinitionError(PerdureError, TypeError):
    """A function can't be a node as it is written: the message names the function and the fix."""


class OutputUnavailableError(PerdureError, LookupError):
    """A context was asked for what it does not have.

    `Context.output` for a node that is not upstream, was skipped, or lies in another scope; or anything of a node's
    execution, by a function that chooses a client.
    """


class ResourceMissingError(PerdureError, LookupError):
    """`Context.resource` was asked for what the executor was not given."""


class OperationError(PerdureError):
    """Base: a long-running operation did not end well.

    `code` is the provider's own word for it (or ours, where the provider has none).
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class SubmissionRejectedError(OperationError):
    """The provider certainly did not accept the submission: never connected, or a 4xx.

    `retryable` says whether the same request may succeed later (429, 408, 409, no connection), `retry_after`
    (seconds) when the provider wants to be asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable
        self.retry_after = retry_after


class SubmissionUnknownError(OperationError):
    """The provider may have accepted the submission, and we do not hold its handle.

    A 5xx, a reset, a read timeout, a crash between the submission and the commit of the token. `retry_after`
    (seconds) is when the provider wants to be asked again, where it said so.
    """

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ProviderUnavailableError(OperationError):
    """The provider will not talk to us about a handle (401, 403, another 400): the operation may be alive.

    Raised by `prepare`, `poll`, `find` and `cancel`. The engine stops driving the run and leaves everything as it is, so that
    nothing is submitted again once the cause (a wrong key, most often) is gone.
    """


class OperationFailedError(OperationError):
    """The provider says that the operation failed. `retryable`: a new submission may succeed."""

    def __init__(self, message: str, *, code: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


class OperationIncompleteError(OperationError):
    """The operation ended before its answer was complete; `code` is the reason, `partial` the text so far."""

    def __init__(self, message: str, *, code: str | None = None, partial: str = "") -> None:
        super().__init__(message, code=code)
        self.partial = partial


class OperationCancelledError(OperationError):
    """The operation was cancelled at the provider."""


class OperationExpiredError(OperationError):
    """The provider no longer knows the handle."""


class OutputRefusedError(OperationError):
    """The model refused to answer; the message holds its words."""


class OutputInvalidError(OperationError):
    """The operation completed, but its text does not validate as the node's output type.

    `partial` holds the text.
    """

    def __init__(self, message: str, *, code: str | None = None, partial: str = "") -> None:
        super().__init__(message, code=code)
        self.partial = partial


class NotBuiltError(PerdureError, NotImplementedError):
    """This version does not have it yet. The message says what to do today."""

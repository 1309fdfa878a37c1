"""`Fault`: why a request to the Responses API brought no answer, and what that means.

Reads exceptions of the `openai` package; nothing else in the library does. For a submission the question is
whether the provider may have accepted it, for a poll whether asking again can help.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ...errors import ProviderUnavailableError, SubmissionRejectedError, SubmissionUnknownError
from ...redaction import redact

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI

_UNREACHABLE = ("ConnectError", "ConnectTimeout", "PoolTimeout")
_NOT_SENT = ("UnsupportedProtocol", "InvalidURL", "LocalProtocolError")
_WORTH_ANOTHER_TRY = (408, 409, 429)


class FaultKind(StrEnum):
    """What went wrong."""

    LOCAL = "local"  # nothing was sent and nothing can be: no key, no usable URL
    UNREACHABLE = "unreachable"  # no connection was made, so nothing was sent
    STATUS = "status"  # the server answered with an error
    LOST = "lost"  # sent, but no complete answer came
    UNREADABLE = "unreadable"  # an answer came that is no response of this API


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A request without a usable answer. `message` holds no key."""

    kind: FaultKind
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    """Seconds, where the server said when to come back."""
    should_retry: bool | None = None
    """What the server says itself about another try (`x-should-retry`)."""
    enveloped: bool = False
    """Whether the error came in this API's form, and not e.g. from a proxy."""

    @property
    def worth_retrying(self) -> bool:
        """Whether the same request, which was not accepted, may be accepted later."""
        if self.kind is FaultKind.UNREACHABLE:
            return True
        if self.code == "insufficient_quota":
            return False
        return self.status in _WORTH_ANOTHER_TRY if self.should_retry is None else self.should_retry

    def submission_error(self) -> SubmissionRejectedError | SubmissionUnknownError:
        """As the error of a submission: certainly not accepted, or of unknown fate."""
        rejected = self.kind in (FaultKind.LOCAL, FaultKind.UNREACHABLE) or (
            self.status is not None and 400 <= self.status < 500
        )
        if rejected:
            return SubmissionRejectedError(
                self.message, code=self.code, retryable=self.worth_retrying, retry_after=self.retry_after
            )
        return SubmissionUnknownError(
            f"{self.message} The provider may have accepted the submission.",
            code=self.code,
            retry_after=self.retry_after,
        )

    def unavailable(self) -> ProviderUnavailableError:
        """As the error of a poll that is no use repeating."""
        alive = (
            ""
            if self.kind is FaultKind.LOCAL
            else " The operation may still be alive there: nothing was changed."
        )
        return ProviderUnavailableError(f"{self.message}{alive}", code=self.code)

    @property
    def passing(self) -> bool:
        """Whether asking again later can help: overload, a conflict, a broken connection."""
        match self.kind:
            case FaultKind.LOCAL:
                return False
            case FaultKind.STATUS:
                return self.status is None or self.status >= 500 or self.status in _WORTH_ANOTHER_TRY
            case FaultKind.UNREACHABLE | FaultKind.LOST | FaultKind.UNREADABLE:
                return True

    @property
    def unknown_handle(self) -> bool:
        """Whether the API itself says that it does not know the handle (a 404 of a proxy says nothing)."""
        return self.status == 404 and self.enveloped


def read_fault(error: Exception, client: AsyncOpenAI | None) -> Fault | None:
    """What an exception of `openai` means; None when it is none of its exceptions.

    `client` is the one that was asked, for its key (to be left out) and its URL; None if it could not be made.
    """
    import openai  # loaded already: it made the client, or failed to

    if not isinstance(error, openai.OpenAIError):
        return None
    key = getattr(client, "api_key", None)

    def clean(text: str) -> str:
        return redact(text, key if isinstance(key, str) else None)

    if isinstance(error, openai.APIStatusError):
        return _of_status(error, clean(error.message), _server(client))
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error, clean, _server(client))
    if isinstance(error, openai.APIError):  # an error event in a stream
        return Fault(
            kind=FaultKind.LOST, message=f"The stream broke off: {clean(error.message)}", code=error.code
        )
    return Fault(
        kind=FaultKind.LOCAL,
        code="no_client",
        message=f"Nothing was sent: {clean(str(error))} Set OPENAI_API_KEY, or hand a client to the agent with "
        "client=AsyncOpenAI(...).",
    )


def unreadable(what: str, client: AsyncOpenAI) -> Fault:
    """A 200 whose body is no response: HTML of a proxy, half a JSON document."""
    return Fault(
        kind=FaultKind.UNREADABLE,
        code="unreadable_answer",
        message=f"{_server(client)} answered with something that is no response: {what}.",
    )


def _of_status(error: openai.APIStatusError, message: str, server: str) -> Fault:
    body: Any = error.body
    enveloped = isinstance(body, Mapping) and isinstance(body.get("message"), str)  # pyright: ignore[reportUnknownMemberType]
    said = f"{server} answered {error.status_code}: {_shortened(message)}"
    if error.request_id:
        said += f" (request {error.request_id})."
    headers = error.response.headers
    return Fault(
        kind=FaultKind.STATUS,
        message=f"{said} {_fix(error.status_code, error.code, enveloped)}".rstrip(),
        status=error.status_code,
        code=error.code or f"http_{error.status_code}",
        retry_after=_retry_after(headers.get("retry-after-ms"), headers.get("retry-after")),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        enveloped=enveloped,
    )


def _of_connection(error: openai.APIConnectionError, clean: Any, server: str) -> Fault:
    cause = error.__cause__
    names = {kind.__name__ for kind in type(cause).__mro__}
    reason = clean(f"{type(cause).__name__}: {cause}") if cause is not None else clean(str(error))
    if not names.isdisjoint(_NOT_SENT):
        return Fault(
            kind=FaultKind.LOCAL,
            code="bad_url",
            message=f"Nothing was sent, since {server} is no usable address ({reason}). Correct OPENAI_BASE_URL or "
            "the client's base_url: it begins with https:// and ends with /v1.",
        )
    if not names.isdisjoint(_UNREACHABLE):
        return Fault(
            kind=FaultKind.UNREACHABLE, code="unreachable", message=f"{server} can't be reached ({reason})."
        )
    return Fault(
        kind=FaultKind.LOST,
        code="no_answer",
        message=f"The connection to {server} broke before the answer was complete ({reason}).",
    )


def _fix(status: int, code: str | None, enveloped: bool) -> str:
    match status:
        case 401:
            return "Check OPENAI_API_KEY, or the client handed to the agent."
        case 403:
            return "Check that this key's project may use the model."
        case 404 if not enveloped:
            return "That is no Responses API: check OPENAI_BASE_URL, or the client's base_url."
        case 429 if code == "insufficient_quota":
            return "The account has no quota left: raise it at the provider, then retry."
        case _:
            return ""


def _server(client: AsyncOpenAI | None) -> str:
    """The server as messages name it, without what else a URL may hold."""
    if client is None:
        return "The provider"
    url = client.base_url
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}" if url.host else "The provider"


def _shortened(text: str, limit: int = 500) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _retry_after(milliseconds: str | None, seconds: str | None) -> float | None:
    """Seconds from the headers `retry-after-ms` and `retry-after` (a number or a date), None without either."""
    for text, unit in ((milliseconds, 0.001), (seconds, 1.0)):
        if text is None:
            continue
        try:
            wait = float(text) * unit
        except ValueError:
            from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

            try:
                wait = parsedate_to_datetime(text).timestamp() - time.time()
            except ValueError:
                continue
        if math.isfinite(wait):
            return max(0.0, wait)
    return None

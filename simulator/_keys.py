"""API keys: any key is accepted unless it begins with a prefix that is declared wrong."""

from __future__ import annotations

from ._request import RefusedRequest

SUGGESTED_KEY = "sk-simulated"
"""Any key but a wrong one is accepted; this is the one that the simulator prints and hands out."""

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
    "auth (i.e. Authorization: Bearer YOUR_KEY)."
)


def check_key(authorization: str | None, *, wrong: tuple[str, ...]) -> None:
    """Raises `RefusedRequest` (401) when there is no key, or when it begins with one of `wrong`.

    As with the API, the refusal echoes the key partly masked: whoever stores or logs it has to redact it.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise RefusedRequest(401, _NO_KEY)
    if key.startswith(wrong):
        masked = key[:8] + "*" * (len(key) - 12) + key[-4:] if len(key) > 16 else key[:3] + "*" * 8
        raise RefusedRequest(
            401,
            f"Incorrect API key provided: {masked}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )

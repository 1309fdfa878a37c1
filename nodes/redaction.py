"""`redact`: takes keys out of text that comes from outside before it reaches an error, a log or a database."""

from __future__ import annotations

import re

_SECRETS = re.compile(
    r"\b(?:sk|sess|eyJ)[-_A-Za-z0-9*.]*[-_A-Za-z0-9*]{8,}"  # keys (masked ones too) and web tokens
    r"|(?<=Bearer )\S+"
    r"|(?<=API key provided: )\S*[^\s.,;]"  # a provider that repeats what it was sent
)
_SHOWN = "[key]"


def redact(text: str, *keys: str | None) -> str:
    """The text without these keys and without whatever looks like one (`sk-...`, `Bearer ...`)."""
    for key in keys:
        if key and len(key) >= 4:
            text = text.replace(key, _SHOWN)
    return _SECRETS.sub(_SHOWN, text)

"""`Prompt`: what an agent is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Item: TypeAlias = Mapping[str, object]
"""An input item as the Responses API takes it."""
Prompt: TypeAlias = str | Sequence[Item]
"""Text, or a list of input items."""

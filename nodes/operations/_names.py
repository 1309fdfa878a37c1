"""The names of the providers that the library brings adapters for, as tokens carry them."""

from typing import Final

RESPONSES: Final = "openai.responses"
TIMER: Final = "perdure.timer"

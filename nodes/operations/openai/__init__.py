"""The OpenAI Responses API as a long-running operation. `openai` itself is imported when something is sent."""

from .responses import PROVIDER, ResponsesOperation

__all__ = ["PROVIDER", "ResponsesOperation"]

"""The OpenAI Responses API as a long-running operation. `openai` itself is imported when something is sent."""

from ._clients import is_client
from .per_context import ResponsesPerContext
from .responses import PROVIDER, ResponsesOperation

__all__ = ["PROVIDER", "ResponsesOperation", "ResponsesPerContext", "is_client"]

"""Nodes: what a workflow is made of, and the protocol of operations that outlive the process.

- `node`, `function`, `context`: functions as nodes, and what they may ask of their run.
- `agent`: a model as a node or alone; `timer_node`: a node that waits.
- `operation_node`, `operations`: whatever lives outside and is held by a token.
- `conformance`: checks of adapters, with pytest.

Submodules are imported lazily, except that of `node`: it is the name of a module as well, and would be that module as
soon as it was imported.
"""

from typing import TYPE_CHECKING

# Node is not imported from .node, which would make type checkers read `node` as that module.
from .context import Context, Node
from .function import FunctionNode, node

if TYPE_CHECKING:
    from ._agent_run import AgentUpdate
    from .agent import Agent
    from .errors import (
        NodeDefinitionError,
        OperationCancelledError,
        OperationError,
        OperationExpiredError,
        OperationFailedError,
        OperationIncompleteError,
        OutputInvalidError,
        OutputRefusedError,
        OutputUnavailableError,
        ProviderUnavailableError,
        ResourceMissingError,
        SubmissionRejectedError,
        SubmissionUnknownError,
    )
    from .operation_node import OnUnknownSubmit, OperationNode
    from .operations.tokens import ContinuationToken
    from .polling import Polling
    from .prompt_node import PromptNode
    from .responses import AgentResponse, Citation, Usage
    from .retry import Retry
    from .thread import AgentThread
    from .timer_node import TimerNode, timer
else:
    _MODULES = {
        "Agent": "agent",
        "AgentResponse": "responses",
        "AgentThread": "thread",
        "AgentUpdate": "_agent_run",
        "Citation": "responses",
        "ContinuationToken": "operations.tokens",
        "NodeDefinitionError": "errors",
        "OnUnknownSubmit": "operation_node",
        "OperationCancelledError": "errors",
        "OperationError": "errors",
        "OperationExpiredError": "errors",
        "OperationFailedError": "errors",
        "OperationIncompleteError": "errors",
        "OperationNode": "operation_node",
        "OutputInvalidError": "errors",
        "OutputRefusedError": "errors",
        "OutputUnavailableError": "errors",
        "Polling": "polling",
        "PromptNode": "prompt_node",
        "ProviderUnavailableError": "errors",
        "ResourceMissingError": "errors",
        "Retry": "retry",
        "SubmissionRejectedError": "errors",
        "SubmissionUnknownError": "errors",
        "TimerNode": "timer_node",
        "Usage": "responses",
        "timer": "timer_node",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = [
    "Agent",
    "AgentResponse",
    "AgentThread",
    "AgentUpdate",
    "Citation",
    "Context",
    "ContinuationToken",
    "FunctionNode",
    "Node",
    "NodeDefinitionError",
    "OnUnknownSubmit",
    "OperationCancelledError",
    "OperationError",
    "OperationExpiredError",
    "OperationFailedError",
    "OperationIncompleteError",
    "OperationNode",
    "OutputInvalidError",
    "OutputRefusedError",
    "OutputUnavailableError",
    "Polling",
    "PromptNode",
    "ProviderUnavailableError",
    "ResourceMissingError",
    "Retry",
    "SubmissionRejectedError",
    "SubmissionUnknownError",
    "TimerNode",
    "Usage",
    "node",
    "timer",
]

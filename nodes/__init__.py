"""Nodes: what a workflow is made of, and the protocol of operations that outlive the process."""

# Node comes by way of its user: `from .node import Node` here would make type checkers read the name `node` of
# this package as that file and not as the decorator.
from .agent import Agent
from .agent_node import AgentNode
from .agent_run import AgentResponse, AgentUpdate
from .context import Context, Node
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
    SubmissionRejectedError,
    SubmissionUnknownError,
)
from .function import FunctionNode, node
from .operation import (
    Cancellable,
    Cancelled,
    ContinuationToken,
    Expired,
    Failed,
    Incomplete,
    Json,
    NeedsInput,
    Operation,
    Poll,
    Running,
    Streamable,
    StreamPiece,
    Succeeded,
)
from .operation_node import OnUnknownSubmit, OperationNode
from .polling import Polling
from .providers import operation_for
from .responses import ResponsesOperation
from .thread import AgentThread

__all__ = [
    "Agent",
    "AgentNode",
    "AgentResponse",
    "AgentThread",
    "AgentUpdate",
    "Cancellable",
    "Cancelled",
    "Context",
    "ContinuationToken",
    "Expired",
    "Failed",
    "FunctionNode",
    "Incomplete",
    "Json",
    "NeedsInput",
    "Node",
    "NodeDefinitionError",
    "OnUnknownSubmit",
    "Operation",
    "OperationCancelledError",
    "OperationError",
    "OperationExpiredError",
    "OperationFailedError",
    "OperationIncompleteError",
    "OperationNode",
    "OutputInvalidError",
    "OutputRefusedError",
    "OutputUnavailableError",
    "Poll",
    "Polling",
    "ProviderUnavailableError",
    "ResponsesOperation",
    "Running",
    "StreamPiece",
    "Streamable",
    "SubmissionRejectedError",
    "SubmissionUnknownError",
    "Succeeded",
    "node",
    "operation_for",
]

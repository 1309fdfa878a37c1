"""Perdure: workflows of long agent runs that survive the process.

What a user needs is here, imported lazily: `from perdure import Agent, Context, Executor, Workflow, node`. Errors are in
`perdure.errors`, what tests need in `perdure.testing`. Importing this module, or a workflow of functions, loads neither
openai nor the code for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.engine.client import Client, RunInfo
    from perdure.engine.event import Event
    from perdure.engine.executor import Executor
    from perdure.engine.graph import Workflow
    from perdure.engine.one_liners import run, run_sync
    from perdure.engine.questions import Question
    from perdure.engine.run import Run
    from perdure.engine.sync_client import SyncClient
    from perdure.engine.updates import RunChanged, StateChanged, TextAdded, TextRestarted, Update
    from perdure.nodes.agent import Agent
    from perdure.nodes.context import Context
    from perdure.nodes.durations import Duration
    from perdure.nodes.failure import Failure
    from perdure.nodes.function import node
    from perdure.nodes.human import human
    from perdure.nodes.node import Node, Source, Target
    from perdure.nodes.prompts import Item, Prompt
    from perdure.nodes.responses import AgentResponse, Citation, Usage
    from perdure.nodes.retry import Retry
    from perdure.nodes.timer_node import timer
    from perdure.nodes.tool import ToolCall, tool
else:
    _MODULES = {
        "engine.client": "Client RunInfo",
        "engine.event": "Event",
        "engine.executor": "Executor",
        "engine.graph": "Workflow",
        "engine.one_liners": "run run_sync",
        "engine.questions": "Question",
        "engine.run": "Run",
        "engine.sync_client": "SyncClient",
        "engine.updates": "RunChanged StateChanged TextAdded TextRestarted Update",
        "nodes.agent": "Agent",
        "nodes.context": "Context",
        "nodes.durations": "Duration",
        "nodes.failure": "Failure",
        "nodes.function": "node",
        "nodes.human": "human",
        "nodes.node": "Node Source Target",
        "nodes.prompts": "Item Prompt",
        "nodes.responses": "AgentResponse Citation Usage",
        "nodes.retry": "Retry",
        "nodes.timer_node": "timer",
        "nodes.tool": "ToolCall tool",
    }
    _PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name):
        from importlib import import_module

        if name in ("errors", "testing"):
            return import_module(f".{name}", __name__)
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_PLACES[name]}", __name__), name)


__all__ = [
    "Agent",
    "AgentResponse",
    "Citation",
    "Client",
    "Context",
    "Duration",
    "Event",
    "Executor",
    "Failure",
    "Item",
    "Node",
    "Prompt",
    "Question",
    "Retry",
    "Run",
    "RunChanged",
    "RunInfo",
    "Source",
    "StateChanged",
    "SyncClient",
    "Target",
    "TextAdded",
    "TextRestarted",
    "ToolCall",
    "Update",
    "Usage",
    "Workflow",
    "human",
    "node",
    "run",
    "run_sync",
    "timer",
    "tool",
]

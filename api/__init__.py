"""Perdure: workflows of long agent runs that survive the process.

What a user needs is here, imported lazily: `from perdure import Agent, Context, Executor, Workflow, node`. Errors are in
`perdure.errors`, what tests need in `perdure.testing`. Importing this module, or a workflow of functions, loads neither
openai nor the code for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine.client import Client, RunInfo
    from .engine.event import Event
    from .engine.executor import Executor
    from .engine.graph import Workflow
    from .engine.one_liners import run, run_sync
    from .engine.questions import Question
    from .engine.run import Run
    from .engine.sync_client import SyncClient
    from .engine.updates import RunChanged, StateChanged, TextAdded, TextRestarted, Update
    from .nodes.agent import Agent
    from .nodes.context import Context
    from .nodes.durations import Duration
    from .nodes.failure import Failure
    from .nodes.function import node
    from .nodes.human import human
    from .nodes.node import Node, Source, Target
    from .nodes.prompts import Item, Prompt
    from .nodes.responses import AgentResponse, Citation, Usage
    from .nodes.retry import Retry
    from .nodes.timer import timer
    from .nodes.tool import ToolCall, tool
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
        "nodes.timer": "timer",
        "nodes.tool": "ToolCall tool",
    }
    _PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

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

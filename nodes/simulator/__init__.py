"""A simulator of the OpenAI Responses API: a separate process with its own database, for demos and tests.

Background runs go on in it while workflows are killed, and while it is killed itself. It is no model: it
answers from the prompt, the same each time, or what a script says. Needs the extra `web` to run; importing
this package does not load it.
"""

from .account import Account, ReceivedRequest, SimulatedResponse
from .faults import (
    BrokenReply,
    ConnectionLost,
    HttpError,
    NotFound,
    SlowReply,
    Stale,
    StreamCut,
    WindowExpired,
)
from .process import Simulator, SimulatorError
from .script import Answer, Call, Match, Rule

__all__ = [
    "Account",
    "Answer",
    "BrokenReply",
    "Call",
    "ConnectionLost",
    "HttpError",
    "Match",
    "NotFound",
    "ReceivedRequest",
    "Rule",
    "SimulatedResponse",
    "Simulator",
    "SimulatorError",
    "SlowReply",
    "Stale",
    "StreamCut",
    "WindowExpired",
]

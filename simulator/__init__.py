"""A simulator of the OpenAI Responses API for demos and tests: a separate process with its own database.

Background responses keep running while your program is killed, and while the simulator itself is killed. There
is no model behind it: answers are derived from the prompt, the same each time, or scripted. Running it needs
the extra `simulator`; importing this package loads no web server.

    with Simulator(duration=1) as simulator:
        simulator.script(
            Rule(match=Match(contains="otters"), answer=Answer(text="They float.", duration=5)),
            Rule(fault=ConnectionLost()),                      # the first submission is accepted, its reply lost
            Rule(fault=StreamCut(how="mid_frame", after=4)),   # the first stream breaks after four events
        )
        ...                                                    # run something with simulator.env or .client()
        assert len(simulator.ledger().accepted(run="r1")) == 1
        assert simulator.ledger().running == ()

In your own tests: `from perdure.simulator.fixture import simulator`.
"""

from typing import TYPE_CHECKING

from ._account import Account, ReceivedRequest, SimulatedResponse
from ._faults import (
    BrokenReply,
    ConnectionLost,
    HttpError,
    NotFound,
    SlowReply,
    Stale,
    StreamCut,
    WindowExpired,
)
from ._process import Simulator, SimulatorError
from ._script import Answer, Call, Match, OnCancel, Rule

if TYPE_CHECKING:
    from ._server import serve
else:

    def __getattr__(name):
        if name != "serve":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._server import serve  # imports the web server

        return serve


__all__ = [
    "Account",
    "Answer",
    "BrokenReply",
    "Call",
    "ConnectionLost",
    "HttpError",
    "Match",
    "NotFound",
    "OnCancel",
    "ReceivedRequest",
    "Rule",
    "SimulatedResponse",
    "Simulator",
    "SimulatorError",
    "SlowReply",
    "Stale",
    "StreamCut",
    "WindowExpired",
    "serve",
]

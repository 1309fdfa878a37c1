"""A simulator of the OpenAI Responses API: a separate process with its own database, for demos and tests.

Background runs go on in it while workflows are killed, and while it is killed itself. It is no model: it
answers from the prompt, the same each time, or what a script says. Needs the extra `web` to run; importing
this package does not load it.

    with Simulator(duration=1) as simulator:
        simulator.script(
            Rule(match=Match(contains="otters"), answer=Answer(text="They float.", duration=5)),
            Rule(fault=ConnectionLost()),                      # the first submission: accepted, the reply lost
            Rule(fault=StreamCut(how="mid_frame", after=4)),   # the first stream breaks after four events
        )
        ...                                                    # run something with simulator.env or .client()
        assert len(simulator.ledger().accepted(run="r1")) == 1
        assert simulator.ledger().running == ()

In tests of your own: `from perdure.nodes.simulator.fixture import simulator`.
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

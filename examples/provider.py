"""Who answers the examples: the OpenAI API when a key is set, else a simulator that is started for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from perdure.simulator import Simulator


@contextmanager
def provider(duration: float = 4.0) -> Generator[Simulator | None]:
    """Set the environment so that agents find somebody to ask; a simulated answer takes `duration` seconds.

    A simulator that is started here ends with the process. To kill an example and resume it, run
    `perdure simulate` in another terminal and export what it prints.
    """
    if os.environ.get("OPENAI_API_KEY"):
        yield None
        return
    print("OPENAI_API_KEY is not set: asking a simulator, whose answers mean nothing.", file=sys.stderr)
    with Simulator(duration=duration) as simulator:
        os.environ.update(simulator.env)
        yield simulator

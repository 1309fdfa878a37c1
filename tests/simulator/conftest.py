"""Fixtures of the tests of the simulator."""

from perdure.simulator.fixture import simulator as simulator

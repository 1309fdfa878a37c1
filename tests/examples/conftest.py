"""Fixtures of the tests of examples."""

from perdure.simulator.fixture import simulator as simulator

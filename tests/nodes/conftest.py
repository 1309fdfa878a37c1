"""Fixtures of the tests of nodes."""

from perdure.simulator.fixture import simulator as simulator

"""Fixtures of the tests of nodes."""

from perdure.nodes.simulator.fixture import simulator as simulator

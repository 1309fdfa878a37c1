"""Every test here talks to the real process over HTTP; one process serves them all."""

from perdure.nodes.simulator.fixture import simulator

__all__ = ["simulator"]

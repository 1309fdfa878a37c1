"""Examples that run on the simulator and on the real API alike."""

"""The verbs that do something: drive runs on, cancel them, answer for them, run the simulator."""

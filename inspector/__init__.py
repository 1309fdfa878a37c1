"""The command line: `cli` says what can be typed, `look` holds the verbs that only read, `act` those that do something.

`read/` gets data from a `View` and knows nothing of terminals; `render/` makes text and JSON of it and reads nothing.
"""

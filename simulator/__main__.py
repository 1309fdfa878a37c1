"""`python -m perdure.simulator`: the simulator as a child process of tests and demos.

`perdure simulate` is the command for people.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perdure.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--db", required=True, help="the simulator's own SQLite file")
    parser.add_argument("--duration", type=float, default=2.0, help="seconds that a response takes")
    parser.add_argument(
        "--window", type=float, default=300.0, help="seconds during which a stream can be resumed"
    )
    options = parser.parse_args()
    from ._server import serve_child

    try:
        serve_child(options.port, options.db, duration=options.duration, window=options.window)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"The simulator can't serve port {options.port} with {options.db}: {error}")


if __name__ == "__main__":
    main()

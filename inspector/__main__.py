"""`perdure`, also as `python -m perdure.inspector`."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Text from a model may hold what the terminal's encoding (or any) lacks: it is shown escaped.
            stream.reconfigure(errors="backslashreplace")
    from .cli import cli

    cli.main(prog_name="perdure")


if __name__ == "__main__":
    main()

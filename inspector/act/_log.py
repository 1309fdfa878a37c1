"""The library's log on stderr while a command drives runs."""

from __future__ import annotations

import logging
from types import TracebackType

from ..render.output import say
from ..settings import Settings

_LOGGER = "perdure"


class Log(logging.Handler):
    """Shows warnings; with -v everything. Use it as a context manager.

    Errors of runs are raised to whoever waits for the run, and said there; here they are kept for `errors`. That
    a run waits for a person is said at the end, with the command that answers.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(logging.DEBUG if settings.verbose else logging.WARNING)
        self._verbose = settings.verbose
        self._errors: list[str] = []

    def errors(self) -> str:
        """The errors that were logged, in one text."""
        return " ".join(self._errors)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self._errors.append(record.getMessage())
        if not self._verbose and (record.levelno >= logging.ERROR or hasattr(record, "waits_for_person")):
            return
        say(f"{record.levelname.lower()}: {record.getMessage()}")

    def __enter__(self) -> Log:
        logger = logging.getLogger(_LOGGER)
        logger.addHandler(self)
        logger.propagate = False
        if self._verbose:
            logger.setLevel(logging.DEBUG)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger(_LOGGER).removeHandler(self)

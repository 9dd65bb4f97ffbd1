"""How every process logs: a JSON object a line, to standard error.

Tracebacks are plain: a renderer that shows the values of variables would write secrets into logs,
and takes seconds on deep stacks.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO, cast

import structlog

from settings import Settings


class Unfailing(io.TextIOBase):
    """Standard error as it is at each line.

    A line that cannot be written (the disk is full, the reader is gone) is lost: an error in here would end whatever
    told of an error, a gate's or a sender's loop for instance.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return sys.stderr.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Hand on what can be handed on."""
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            return


def configure(settings: Settings) -> None:
    """Set up logging of this process; the level is a setting."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stream = Unfailing()
    logging.basicConfig(stream=stream, level=max(level, logging.WARNING), format="%(name)s: %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stream)),
    )

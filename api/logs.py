"""How the API and the worker log: a JSON object a line, to standard error.

Tracebacks are plain: a renderer that shows the values of variables would write secrets into logs,
and takes seconds on deep stacks.
"""

from __future__ import annotations

import logging
import sys

import structlog

from settings import Settings


def configure(settings: Settings) -> None:
    """Set up logging of this process; the level is a setting."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(stream=sys.stderr, level=max(level, logging.WARNING), format="%(name)s: %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

"""Structured logs: one JSON object a line, with the request's id where there is one."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str, *, process: str) -> None:
    """Set up logging for this process. Raises SystemExit on an unknown level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SystemExit(f"RUSHCART_LOG_LEVEL is {level!r}; it can be debug, info, warning or error.")
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)

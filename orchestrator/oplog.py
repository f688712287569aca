"""Our own log: one event per decision, pretty on a terminal, JSON elsewhere. To stderr: stdout belongs to what
was asked for."""

import logging
import sys

import structlog


def configure(*, quiet: bool = False) -> None:
    """Set structlog up for this process; called once, by a face. `quiet`: errors only, for commands that show
    their own progress."""
    pretty = sys.stderr.isatty()
    renderer = _console() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([] if pretty else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _console() -> structlog.dev.ConsoleRenderer:
    """Tracebacks as Python prints them: without the values of variables, which may be secrets, and at once."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

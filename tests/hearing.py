"""What the code under test logs, as the test hears it."""

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def logs_through(processor: Any, wrapper: type) -> Iterator[None]:
    """Every module's log lines go to `processor`, whoever has set logging up before."""
    before = structlog.get_config()
    _forget_cached_loggers()
    structlog.configure(processors=[processor], wrapper_class=wrapper, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def heard() -> Iterator[list[MutableMapping[str, Any]]]:
    """The lines of every level, as maps with `event` and `log_level`."""
    captured = structlog.testing.LogCapture()
    with logs_through(captured, structlog.make_filtering_bound_logger(0)):
        yield captured.entries


def _forget_cached_loggers() -> None:
    """Modules whose loggers have kept an earlier configuration for good follow the present one again."""
    lazy = type(structlog.get_logger())
    for module in list(sys.modules.values()):
        log = vars(module).get("log")
        if isinstance(log, lazy):
            vars(log).pop("bind", None)

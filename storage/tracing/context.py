"""Where in a trace this task is, and how that is said to others: the W3C `traceparent`.

Nothing here needs OpenTelemetry: processes that trace nothing do not load it. A sampled command carries its
trace behind its correlation id (`<correlation>;<traceparent>`), through the envelope into the journal row, where
a reaction takes it up again. What is not sampled carries nothing: its correlation id is as it was.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

MARK: Final = ";"
"""Between a correlation id and a trace: no correlation id has it."""

LINKS_MAX: Final = 32
"""Spans of other traces that one span names."""

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_SAMPLED_FLAG: Final = 1

Value = str | int | float | bool


class Span(Protocol):
    """Something that is being done. `end` it once; what comes later is ignored."""

    @property
    def traceparent(self) -> str: ...
    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""

    @property
    def ended(self) -> bool: ...

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Mapping[str, Value]) -> None: ...

    def end(self, error: str = "") -> None:
        """`error`: a code or the name of an exception, never its text, which may hold what is personal."""


_current: ContextVar[Span | None] = ContextVar("atrium_span", default=None)


def current_span() -> Span | None:
    """The span that this task works for. A task that outlives its request does not go on in its trace."""
    span = _current.get()
    return None if span is None or span.ended else span


@contextmanager
def within(span: Span) -> Iterator[Span]:
    """The block is part of `span`, which ends with it; an exception is its error."""
    token = _current.set(span)
    try:
        yield span
    except BaseException as error:
        span.end(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        span.end()


def parts_of(traceparent: str) -> tuple[int, int, bool] | None:
    """Trace id, span id and whether it is sampled; None for what is no `traceparent`."""
    if _TRACEPARENT.fullmatch(traceparent) is None:
        return None
    version, trace_id, span_id, flags = traceparent.split("-", 4)[:4]
    if version == "00" and len(traceparent) != len("00-") + 32 + 1 + 16 + len("-00"):
        return None
    return int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED_FLAG)


def carrying(correlation: str, span: Span) -> str:
    """The correlation id with the trace behind it, in place of one that was there."""
    return f"{plain(correlation)}{MARK}{span.traceparent}"


def plain(correlation: str) -> str:
    """The correlation id alone, as people know it."""
    return correlation.partition(MARK)[0]


def trace_of(correlation: str) -> str:
    """The `traceparent` that travels with a correlation id, "" without one."""
    return correlation.partition(MARK)[2]

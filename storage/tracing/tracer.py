"""Spans by OpenTelemetry's SDK. Loaded only where traces are recorded (`storage/tracing/config.py`)."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from storage.tracing.context import LINKS_MAX, Value, parts_of

Kind = Literal["internal", "server", "client", "consumer"]

TRACES_PER_SECOND_MAX: Final = 100
"""Traces begun in one process: whoever asks with `sampled` set in each request costs no more than this."""
ATTRIBUTE_CHARACTERS_MAX: Final = 256

_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


class RecordedSpan:
    """`storage.tracing.context.Span`."""

    __slots__ = ("_otel", "ended")

    def __init__(self, otel: OtelSpan) -> None:
        self._otel = otel
        self.ended = False

    @property
    def trace_id(self) -> str:
        return f"{self._otel.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        return f"{self._otel.get_span_context().span_id:016x}"

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def rename(self, name: str) -> None:
        self._otel.update_name(name)

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._otel.set_attributes(attributes)

    def end(self, error: str = "", at_ns: int | None = None) -> None:
        if self.ended:
            return
        self.ended = True
        if error:
            self._otel.set_status(Status(StatusCode.ERROR, error))
        self._otel.end(at_ns)


class Tracer:
    """Begins spans; `processor` takes those that have ended.

    `ratio` of the requests that come without a trace begin one; those that come with one go by its own flag.
    """

    def __init__(
        self,
        processor: SpanProcessor,
        service: str,
        ratio: float,
        *,
        chance: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._chance = chance
        self._now = now
        self._room = float(TRACES_PER_SECOND_MAX)
        self._filled = now()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled never comes here
            resource=Resource.create({"service.name": "atrium", "service.instance.id": service}),
            span_limits=SpanLimits(max_links=LINKS_MAX, max_attribute_length=ATTRIBUTE_CHARACTERS_MAX),
        )
        self._provider.add_span_processor(processor)
        self._otel = self._provider.get_tracer("atrium")

    def root(self, name: str, offered: str = "", kind: Kind = "server") -> RecordedSpan | None:
        """What comes from outside, by the `traceparent` it `offered`; None: it is not sampled."""
        parts = parts_of(offered) if offered else None
        sampled = parts[2] if parts is not None else self._chance() < self._ratio
        if not sampled or not self._has_room():
            return None
        return self.begin(name, parent=offered if parts is not None else "", kind=kind)

    def begin(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "internal",
        attributes: Mapping[str, Value] | None = None,
        links: Sequence[str] = (),
        at_ns: int | None = None,
    ) -> RecordedSpan:
        """A span below `parent` (a `traceparent`), or a new trace; `links` name spans of other traces."""
        context = _context(parent) if parent else None
        linked = [Link(found) for found in map(_context, links[:LINKS_MAX]) if found is not None]
        # An empty context says that there is no parent; none at all would say "the current one".
        within = Context() if context is None else set_span_in_context(NonRecordingSpan(context), Context())
        span = self._otel.start_span(name, within, _KINDS[kind], attributes=attributes, links=linked, start_time=at_ns)
        return RecordedSpan(span)

    def close(self) -> None:
        """Hand on what has ended, and end. Takes as long as the exporter takes; call it off the loop."""
        self._provider.shutdown()

    def _has_room(self) -> bool:
        now = self._now()
        self._room = min(self._room + (now - self._filled) * TRACES_PER_SECOND_MAX, float(TRACES_PER_SECOND_MAX))
        self._filled = now
        if self._room < 1:
            return False
        self._room -= 1
        return True


def _context(traceparent: str) -> SpanContext | None:
    parts = parts_of(traceparent)
    if parts is None:
        return None
    return SpanContext(parts[0], parts[1], is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

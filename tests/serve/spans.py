"""What a tracer recorded, as a test looks at it."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from storage.tracing.tracer import Tracer


class Recorded:
    """A tracer that keeps its spans. `ratio` of what comes without a trace begins one."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer = Tracer(SimpleSpanProcessor(self.exporter), "test", ratio)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def clear(self) -> None:
        self.exporter.clear()

    def of(self, trace_id: int) -> list[ReadableSpan]:
        return [span for span in self.spans if span.context is not None and span.context.trace_id == trace_id]

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def way(self, span: ReadableSpan) -> list[str]:
        """Its own name and those above it, up to the root or to somebody else's span."""
        by_id = {one.context.span_id: one for one in self.spans if one.context is not None}
        names, at = [], span
        while True:
            names.append(at.name)
            above = by_id.get(at.parent.span_id) if at.parent is not None else None
            if above is None:
                return names
            assert above.context is not None
            assert at.context is not None
            assert above.context.trace_id == at.context.trace_id
            at = above


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})

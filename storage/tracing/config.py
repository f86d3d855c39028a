"""Whether and where traces are recorded."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from storage.settings import Settings

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

TRACES_FILE: Final = "traces.jsonl"
EXPORT_SECONDS_MAX: Final = 10
"""A collector that takes longer loses the batch."""
QUEUE_SPANS_MAX: Final = 4_096
"""Ended spans that wait in one process; further ones are dropped."""


class TraceConfig(msgspec.Struct, frozen=True):
    """`endpoint` of a collector (OTLP over HTTP), else the path of a `file`, else nothing is traced."""

    endpoint: str = ""
    file: str = ""
    ratio: float = 0.0


def trace_config_of(settings: Settings) -> TraceConfig:
    file = str(settings.data_dir.absolute() / TRACES_FILE) if settings.trace_file else ""
    return TraceConfig(settings.trace_endpoint, file, settings.trace_ratio)


def open_tracer(config: TraceConfig, service: str) -> "Tracer | None":
    """The tracer of this process, or None when it traces nothing. `service`: `gateway`, `host:host-1` …"""
    if not config.endpoint and not config.file:
        return None
    # A process that traces nothing is spared the time and the memory of these.
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter  # noqa: PLC0415

    from storage.tracing.tracer import Tracer  # noqa: PLC0415

    exporter: SpanExporter
    if config.endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        from storage.tracing.collector import BoundedSession  # noqa: PLC0415

        exporter = OTLPSpanExporter(
            config.endpoint, timeout=EXPORT_SECONDS_MAX, session=BoundedSession(EXPORT_SECONDS_MAX)
        )
    else:
        from storage.tracing.files import FileExporter  # noqa: PLC0415

        exporter = FileExporter(Path(config.file))
    processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS_MAX)
    return Tracer(processor, service, config.ratio)

"""Ended spans as lines of JSON in a file: for development, and where no collector runs."""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

FILE_BYTES_MAX: Final = 50 * 1024 * 1024
"""A file past this is moved to `traces.jsonl.1`, of which one is kept."""


class FileExporter(SpanExporter):
    """Appends under a lock: all processes of a machine write to one file."""

    def __init__(self, path: Path, bytes_max: int = FILE_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _write(file, spans)
                if file.tell() > self._bytes_max and self._is_current(file):
                    self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def _is_current(self, file: TextIO) -> bool:
        """Whether the path still names this file: another process may have moved it while we waited."""
        return self._path.stat().st_ino == os.fstat(file.fileno()).st_ino

    def shutdown(self) -> None:
        return

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is kept back
        return True


def _write(file: TextIO, spans: Sequence[ReadableSpan]) -> None:
    file.writelines(json.dumps(document(span), separators=(",", ":")) + "\n" for span in spans)
    file.flush()


def document(span: ReadableSpan) -> dict[str, Any]:
    """One span: ids in hexadecimal, times in nanoseconds UTC."""
    context = span.get_span_context()
    assert context is not None  # noqa: S101 - it has been begun
    found: dict[str, Any] = {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_id": "" if span.parent is None else f"{span.parent.span_id:016x}",
        "name": span.name,
        "kind": span.kind.name.lower(),
        "service": span.resource.attributes.get("service.instance.id", ""),
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
    }
    if span.links:
        found["links"] = [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links]
    if span.status.status_code is StatusCode.ERROR:
        found["error"] = span.status.description or ""
    return found

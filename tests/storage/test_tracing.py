"""Traces: what a `traceparent` may be, who is sampled, what is written where."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import run
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from storage.settings import Settings
from storage.tracing.config import TraceConfig, open_tracer, trace_config_of
from storage.tracing.context import carrying, current_span, parts_of, plain, trace_of, within
from storage.tracing.files import FileExporter
from storage.tracing.tracer import TRACES_PER_SECOND_MAX, RecordedSpan, Tracer

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def tracer(ratio: float = 1.0, chance: float = 0.5, clock: Seconds | None = None) -> Tracer:
    processor = SimpleSpanProcessor(InMemorySpanExporter())
    return Tracer(processor, "test", ratio, chance=lambda: chance, now=clock or Seconds())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        VALID + "-more",
        VALID.upper(),
        VALID + "\n",
    ],
)
def test_what_is_no_traceparent_is_ignored(text: str) -> None:
    assert parts_of(text) is None


def test_a_traceparent_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parts_of("cc" + VALID[2:] + "-what-the-future-will-be-like") == parts_of(VALID)


@given(st.text())
def test_any_text_offered_as_a_trace_is_a_trace_or_none(text: str) -> None:
    assert parts_of(text) is None or len(text) >= len(VALID)


@given(st.from_regex(r"[A-Za-z0-9._:\-]{8,128}", fullmatch=True))
def test_a_correlation_id_comes_back_from_behind_its_trace(correlation: str) -> None:
    span = tracer().begin("work")
    carried = carrying(carrying(correlation, span), span)
    assert (plain(carried), trace_of(carried)) == (correlation, span.traceparent)
    assert (plain(correlation), trace_of(correlation)) == (correlation, "")
    span.end()


def test_a_caller_s_flag_decides_and_without_a_caller_the_ratio() -> None:
    assert isinstance(tracer(ratio=0.0).root("one", VALID), RecordedSpan)
    assert tracer(ratio=1.0).root("one", VALID[:-2] + "00") is None
    assert tracer(ratio=0.5, chance=0.49).root("one") is not None
    assert tracer(ratio=0.5, chance=0.5).root("one") is None


def test_whoever_asks_for_a_trace_each_time_gets_so_many_a_second() -> None:
    clock = Seconds()
    traces = tracer(clock=clock)
    begun = [traces.root("one", VALID) for _ in range(TRACES_PER_SECOND_MAX + 10)]
    assert sum(span is not None for span in begun) == TRACES_PER_SECOND_MAX
    clock.now += 1
    assert traces.root("one", VALID) is not None


def test_a_span_that_has_ended_is_nobody_s_any_more() -> None:
    span = tracer().begin("work")
    with within(span):
        assert current_span() is span
        span.end()
        assert current_span() is None
    assert current_span() is None


def test_ended_spans_are_lines_of_a_file_that_is_turned_over_when_it_is_full(tmp_path: Path) -> None:
    file = tmp_path / "deeper" / "traces.jsonl"
    traces = Tracer(SimpleSpanProcessor(FileExporter(file, bytes_max=600)), "host:host-1", 1.0)
    with within(traces.begin("above", kind="server", attributes={"atrium.kind": "cart"})) as above:
        traces.begin("below", parent=above.traceparent, links=[VALID]).end("conflict")
    below, written = [json.loads(line) for line in file.read_text().splitlines()]
    assert (below["name"], below["error"], below["parent_id"]) == ("below", "conflict", written["span_id"])
    assert below["links"] == [VALID[3:52]]
    assert (written["kind"], written["service"], written["attributes"]) == (
        "server",
        "host:host-1",
        {"atrium.kind": "cart"},
    )
    assert written["trace_id"] == below["trace_id"] == above.trace_id
    for _ in range(3):
        traces.begin("more").end()
    assert file.with_name("traces.jsonl.1").exists()
    traces.close()


def test_a_folder_that_cannot_be_written_loses_spans_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    traces = Tracer(SimpleSpanProcessor(FileExporter(tmp_path / "file" / "traces.jsonl")), "test", 1.0)
    traces.begin("work").end()
    traces.close()


def test_a_collector_gets_the_spans_over_http() -> None:
    asked: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    traces = open_tracer(TraceConfig(f"http://127.0.0.1:{server.server_port}/v1/traces", ratio=1.0), "gateway")
    assert traces is not None
    traces.begin("turn cart").end()
    traces.close()
    server.shutdown()
    thread.join()
    server.server_close()
    ((path, body),) = asked
    assert path == "/v1/traces"
    assert b"turn cart" in body


def test_nothing_is_traced_and_nothing_is_loaded_for_it_unless_it_was_asked_for(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert open_tracer(trace_config_of(settings), "gateway") is None
    asked = settings.model_copy(update={"trace_file": True})
    assert trace_config_of(asked).file == str(tmp_path / "traces.jsonl")
    loads = "import sys, actors.runtime.host_actor; sys.exit('storage.tracing.tracer' in sys.modules)"
    assert run([sys.executable, "-c", loads], check=False, cwd=Path(__file__).parents[2]).returncode == 0

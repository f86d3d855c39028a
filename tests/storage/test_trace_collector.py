"""What a collector answers, however much and however slowly, holds nobody up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from storage.tracing.collector import ANSWER_BYTES_MAX, BoundedSession

Answering = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def collector(answering: Answering) -> Iterator[str]:
    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with suppress(OSError):
                answering(self)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
        server.shutdown()
        thread.join()


def _status(handler: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def whole(handler: BaseHTTPRequestHandler) -> None:
    _status(handler, 400, **{"content-length": "7"})
    handler.wfile.write(b"no room")


def endless(handler: BaseHTTPRequestHandler) -> None:
    _status(handler, 200)
    while True:
        handler.wfile.write(bytes(65_536))


def dripping(handler: BaseHTTPRequestHandler) -> None:
    _status(handler, 503)
    while True:
        handler.wfile.write(b".")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("answering", "status", "least", "most"),
    [(whole, 400, 7, 7), (endless, 200, ANSWER_BYTES_MAX, ANSWER_BYTES_MAX), (dripping, 503, 1, 100)],
)
def test_of_an_answer_only_so_much_is_read_and_only_for_so_long(
    answering: Answering, status: int, least: int, most: int
) -> None:
    with collector(answering) as url, BoundedSession(0.3) as session:
        began = time.monotonic()
        answer = session.post(url, data=b"spans", timeout=5.0)
        assert answer.status_code == status
        assert least <= len(answer.content) <= most
        assert time.monotonic() - began < 3

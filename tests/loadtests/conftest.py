"""A trivial keep-alive HTTP server whose answers a test decides."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httptools
import pytest


class Seen:
    """What reached the server: paths with their keys, in order."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []

    def keys(self) -> Counter[str]:
        return Counter(key for _, key, _ in self.requests)


Answer = Callable[[int], int | None]
"""Request number (from 0) → status, or None to cut the connection without an answer."""


class _Server(asyncio.Protocol):
    def __init__(self, seen: Seen, answer: Answer) -> None:
        self._seen = seen
        self._answer = answer
        self._reset()

    def _reset(self) -> None:
        self._path = ""
        self._key = ""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"idempotency-key":
            self._key = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        number = len(self._seen.requests)
        self._seen.requests.append((self._path, self._key, self._body))
        self._reset()
        status = self._answer(number)
        if status is None:
            self._transport.abort()
            return
        self._transport.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n{}" % status)


@asynccontextmanager
async def serving(answer: Answer = lambda _: 200) -> AsyncIterator[tuple[str, Seen]]:
    """Serve on a free port; gives the base URL and what was seen."""
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(lambda: _Server(seen, answer), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def http_server() -> Callable[..., AbstractAsyncContextManager[tuple[str, Seen]]]:
    """`async with http_server(answer) as (base_url, seen)`: a fresh trivial server."""
    return serving

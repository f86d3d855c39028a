"""A lean HTTP/1.1 client for the API: keep-alive connections, safe retries, some 20 µs a request.

Whatever it sends under an idempotency key may be sent again: after a lost connection, a lost reply or a
`Retry-After` the same key goes out until there is an answer or the deadline has passed. Plain `http://` only:
TLS ends at the load balancer, and across a network a client library with TLS is the right one.
"""

import asyncio
import random
import time
from collections import deque
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec

RETRIED_STATUS: Final = frozenset({429, 502, 503, 504})
"""Answers that mean: not now, send it again."""
BACKOFF_SECONDS: Final = 0.02
BACKOFF_SECONDS_MAX: Final = 0.5
"""Pause before a repeat: doubled from the first up to the second, with full jitter."""
ATTEMPT_SECONDS_MAX: Final = 20.0
"""An attempt without an answer for so long is given up; the server gives a command 15 s."""
_SAFE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PROBLEM: Final = b"application/problem+json"


class HttpError(Exception):
    """There was no answer in time, or one that was not expected; `status` 0 when there was none at all."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(message)


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str = ""


class Response(msgspec.Struct, frozen=True):
    """`attempts` counts the times the request was sent; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    attempts: int = 1

    @property
    def replayed(self) -> bool:
        """Whether the server had executed this key before and gave the stored answer."""
        return self.headers.get(b"idempotent-replayed") == b"true"

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def expect(self, *statuses: int) -> "Response":
        """This response if its status is one of these (default: any 2xx), else `HttpError` with the problem's code."""
        if self.status in statuses or (not statuses and 200 <= self.status < 300):
            return self
        try:
            problem = msgspec.json.decode(self.body, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        raise HttpError(f"{self.status} {problem.code} {problem.detail}".strip(), self.status, problem.code)


class _Connection(asyncio.Protocol):
    """At most one request at a time; `outcome` is where its answer or the loss of the connection goes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.outcome: asyncio.Future[Response] | None = None
        self._parser: Any = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost(ConnectionError(f"malformed answer: {error}"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers = {}
            return
        response = Response(status, self._headers, b"".join(self._body))
        self._headers, self._body = {}, []
        if not self._parser.should_keep_alive():
            self.close()
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._lost(exc or ConnectionResetError("the server closed the connection"))

    def _lost(self, error: Exception) -> None:
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_exception(error)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class HttpClient:
    """Up to `connections_max` connections to one server. `deadline_s`: how long `send` tries before it gives up."""

    def __init__(self, base_url: str, *, connections_max: int = 64, deadline_s: float = 60.0) -> None:
        address = urlsplit(base_url)
        if address.scheme != "http" or address.hostname is None:
            raise ValueError(f"this client speaks plain HTTP only, not {base_url}")
        self._host = address.hostname
        self._port = address.port or 80
        self._netloc = address.netloc
        self._deadline_s = deadline_s
        self._free = asyncio.Semaphore(connections_max)
        self._idle: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self.repeats = 0
        """Requests sent again, whatever the reason."""

    async def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()

    async def send(self, method: str, path: str, *, token: str = "", body: Any = None, key: str = "") -> Response:
        """Send until there is an answer that is no call for patience. `body` goes as JSON.

        Only what may be executed twice is repeated after a lost reply: reads, PUT, DELETE, and anything with `key`.
        Raises `HttpError` when the deadline passes.
        """
        payload = self._encode(method, path, token, body, key)
        repeatable = bool(key) or method in _SAFE
        deadline = time.monotonic() + self._deadline_s
        attempts = 0
        while True:
            attempts += 1
            problem: Exception | None = None
            patience = 0.0
            try:
                response = await self._exchange(payload)
            except TimeoutError as error:
                problem = error
            except OSError as error:
                problem = error
            else:
                if not _asks_for_patience(response) or not (repeatable or _was_not_executed(response)):
                    return msgspec.structs.replace(response, attempts=attempts) if attempts > 1 else response
                patience = min(_retry_after(response), BACKOFF_SECONDS_MAX)
            if problem is not None and not repeatable:
                raise HttpError(f"{method} {path}: {problem or 'no answer in time'}") from problem
            if time.monotonic() >= deadline:
                if problem is not None:
                    raise HttpError(f"{method} {path}: {problem or 'no answer in time'}") from problem
                return msgspec.structs.replace(response, attempts=attempts)
            self.repeats += 1
            ceiling = min(BACKOFF_SECONDS * 2 ** min(attempts - 1, 8), BACKOFF_SECONDS_MAX)
            await asyncio.sleep(max(patience, random.uniform(0, ceiling)))

    def _encode(self, method: str, path: str, token: str, body: Any, key: str) -> bytes:
        content = b"" if body is None else msgspec.json.encode(body)
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._netloc}\r\n"
        if token:
            head += f"authorization: Bearer {token}\r\n"
        if key:
            head += f"idempotency-key: {key}\r\n"
        if content:
            head += "content-type: application/json\r\n"
        if content or method in {"POST", "PUT", "PATCH"}:
            head += f"content-length: {len(content)}\r\n"
        return f"{head}\r\n".encode() + content

    async def _exchange(self, payload: bytes) -> Response:
        """One request on one connection. Raises `OSError` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        async with self._free:
            connection = await self._connection()
            outcome: asyncio.Future[Response] = loop.create_future()
            connection.outcome = outcome
            limit = loop.call_later(ATTEMPT_SECONDS_MAX, _give_up, outcome)
            try:
                assert connection.transport is not None  # noqa: S101 - `_connection` gives usable ones
                connection.transport.write(payload)
                response = await outcome
            except BaseException:
                connection.close()  # its answer may still come: it must not meet the next request
                raise
            finally:
                limit.cancel()
                connection.outcome = None
                if connection.usable:
                    self._idle.append(connection)
                else:
                    self._all.discard(connection)
            return response

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            self._all.discard(connection)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        self._all.add(connection)
        return connection


def _give_up(outcome: "asyncio.Future[Response]") -> None:
    if not outcome.done():
        outcome.set_exception(TimeoutError())


def _was_not_executed(response: Response) -> bool:
    """Whether the server says that it took nothing up: too many requests, or not there yet."""
    return response.status in {404, 429, 503}


def _asks_for_patience(response: Response) -> bool:
    """Also a bare 404 or 500: the ingress answers so when no gateway is there; ours are problem+json, and final."""
    if response.status in RETRIED_STATUS:
        return True
    if response.status in {404, 500}:
        return not response.headers.get(b"content-type", b"").startswith(_PROBLEM)
    return response.status == 409 and b"retry-after" in response.headers


def _retry_after(response: Response) -> float:
    raw = response.headers.get(b"retry-after", b"")
    return float(raw) if raw.isdigit() else 0.0

"""A lean HTTP/1.1 keep-alive load generator: N connections, each a closed loop over its script.

Requests are encoded once before the run; a run only stamps a fresh key into them. `python -m
loadtests.http_load PLAN` runs one `HttpPlan` (JSON, `-` reads stdin) and prints one `LoadResult` line.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httptools
import msgspec
import uvloop

from loadtests.measure import LoadResult, Recorder

CONNECTS_AT_ONCE = 64
"""Connections opened concurrently, below the usual accept backlog."""
TAIL_SECONDS = 10.0
"""How long requests in flight at the end of the window are awaited before they count as unresolved."""
RETRY_BACKOFF_SECONDS = 0.02
"""First pause before a repeat, doubled up to `RETRY_BACKOFF_SECONDS_MAX`, with full jitter."""
RETRY_BACKOFF_SECONDS_MAX = 0.25
_RETRIED_STATUS = frozenset({429, 502, 503, 504})


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request of a script; `body` is sent as JSON unless it is None."""

    method: str
    path: str
    body: Any = None


class HttpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. Worker `w` cycles through `scripts[w % len(scripts)]` on a connection of its own.

    Connections spread evenly over `base_urls`: more than one stands for a balancer that costs nothing.

    `key_header` gets a fresh 32-digit key for each request, the same for its repeats; empty sends none.
    With `retry`, answers 429/502/503/504 and lost connections are repeated until they succeed; without it
    every answer that is not 2xx is an error.
    """

    base_urls: list[str]
    scripts: list[list[Call]]
    connections: int
    seconds: float
    warmup_seconds: float = 1.0
    headers: dict[str, str] = {}
    key_header: str = "idempotency-key"
    retry: bool = False


class _Encoded(msgspec.Struct, frozen=True):
    before_key: bytes
    after_key: bytes


def encode_call(call: Call, host: str, headers: dict[str, str], key_header: str) -> _Encoded:
    """The request's bytes, split where the key goes (a request without key has all in `before_key`)."""
    lines = [f"{call.method} {call.path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    body = b"" if call.body is None else msgspec.json.encode(call.body)
    if body:
        lines.append("content-type: application/json")
    if body or call.method in {"POST", "PUT", "PATCH"}:
        lines.append(f"content-length: {len(body)}")
    head = "\r\n".join(lines).encode()
    if key_header:
        return _Encoded(head + f"\r\n{key_header}: ".encode(), b"\r\n\r\n" + body)
    return _Encoded(head + b"\r\n\r\n" + body, b"")


def _address(base_url: str) -> SplitResult:
    address = urlsplit(base_url)
    if address.scheme != "http" or address.hostname is None:
        raise ValueError(f"the load generator speaks plain HTTP only, not {base_url}")
    return address


class _Connection(asyncio.Protocol):
    """One worker: holds at most one request in flight, and reconnects when its connection is lost."""

    def __init__(self, run: "_Run", worker: int, server: SplitResult, script: Sequence[_Encoded]) -> None:
        self._run = run
        self._host, self._port = server.hostname or "", server.port or 80
        self._worker = worker
        self._script = script
        self._position = worker % len(script)
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._payload = b""
        self._started = 0.0
        self._attempt = 0
        self._connecting = False
        self.in_flight = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpResponseParser(self)
        if self.in_flight:
            self._send()
        elif self._run.issuing:
            self.next()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._run.recorder.outcome("malformed")
            if self._transport is not None:
                self._transport.abort()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        now = self._run.clock()
        recorder = self._run.recorder
        recorder.outcome(str(status))
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
            self._transport = None
        if 200 <= status < 300:
            recorder.success(self._worker, self._started, now)
        elif self._run.plan.retry and status in _RETRIED_STATUS:
            self._later(self._send)
            return
        else:
            recorder.error()
            if status >= 500:
                recorder.leave_unresolved(self._worker)
        self.in_flight = False
        if self._run.issuing:
            self.next()
        else:
            self._run.settled()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        if self._run.finished or not (self.in_flight or self._run.issuing):
            return
        if self.in_flight:
            self._run.recorder.outcome("lost")
            if not self._run.plan.retry:
                self._run.recorder.error()
                self._run.recorder.leave_unresolved(self._worker)
                self.in_flight = False
                self._run.settled()
        self._later(self._reconnect)

    def next(self) -> None:
        """Issue the next request of the script."""
        call = self._script[self._position]
        self._position = (self._position + 1) % len(self._script)
        self._payload = (
            call.before_key + os.urandom(16).hex().encode() + call.after_key if call.after_key else call.before_key
        )
        self._attempt = 0
        self._started = self._run.clock()
        self.in_flight = True
        self._send()

    def _send(self) -> None:
        if self._transport is None:
            self._reconnect()
        elif self.in_flight and not self._run.finished:
            self._transport.write(self._payload)

    def _later(self, action: Any) -> None:
        """Back off with full jitter, then act. Counts as a retry when a request is waiting."""
        if self.in_flight:
            self._run.recorder.retry()
        ceiling = min(RETRY_BACKOFF_SECONDS * 2**self._attempt, RETRY_BACKOFF_SECONDS_MAX)
        self._attempt = min(self._attempt + 1, 10)
        self._run.loop.call_later(random.uniform(0, ceiling), action)

    def _reconnect(self) -> None:
        if not (self._run.finished or self._connecting or self._transport is not None):
            self._run.spawn(self.connect())

    async def connect(self) -> None:
        self._connecting = True
        try:
            await self._run.loop.create_connection(lambda: self, self._host, self._port)
        except OSError:
            self._run.recorder.outcome("unreachable")
            self._later(self._reconnect)
        finally:
            self._connecting = False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Run:
    def __init__(self, plan: HttpPlan) -> None:
        self.plan = plan
        self.loop = asyncio.get_running_loop()
        self.clock = time.perf_counter  # uvloop's own clock has steps of a millisecond
        self.recorder = Recorder(plan.connections)
        self.issuing = False
        self.finished = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        servers = [_address(url) for url in plan.base_urls]
        encoded = [
            [encode_call(call, servers[0].netloc, plan.headers, plan.key_header) for call in script]
            for script in plan.scripts
        ]
        self._connections = [
            _Connection(self, w, servers[w % len(servers)], encoded[w % len(encoded)]) for w in range(plan.connections)
        ]

    def spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def settled(self) -> None:
        if not self.issuing and not any(connection.in_flight for connection in self._connections):
            self._quiet.set()

    async def run(self) -> LoadResult:
        gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def open_one(connection: _Connection) -> None:
            async with gate:
                await connection.connect()

        await asyncio.gather(*(open_one(connection) for connection in self._connections))
        self.issuing = True
        for connection in self._connections:
            connection.next()
        await asyncio.sleep(self.plan.warmup_seconds)
        self.recorder.open(self.clock())
        await asyncio.sleep(self.plan.seconds)
        self.recorder.close(self.clock())
        self.issuing = False
        self.settled()
        try:
            await asyncio.wait_for(self._quiet.wait(), TAIL_SECONDS)
        except TimeoutError:
            for worker, connection in enumerate(self._connections):
                if connection.in_flight:
                    self.recorder.leave_unresolved(worker)
        self.finished = True
        for connection in self._connections:
            connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.recorder.result()


async def run_http_load(plan: HttpPlan) -> LoadResult:
    """Run the plan on the running loop. Raises `OSError` never: an unreachable server shows in `outcomes`."""
    return await _Run(plan).run()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.http_load", description=__doc__)
    parser.add_argument("plan", help="path of an HttpPlan as JSON, or - for stdin")
    raw_path = parser.parse_args(argv).plan
    raw = sys.stdin.buffer.read() if raw_path == "-" else Path(raw_path).read_bytes()
    result = uvloop.run(run_http_load(msgspec.json.decode(raw, type=HttpPlan)))
    print(msgspec.json.encode(result).decode(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

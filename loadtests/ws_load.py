"""A lean load generator for `atrium.v1`: N sockets, each a device with one command in flight.

Each socket says hello, then cycles through its script: command with the next `seq`, result, and now and then
an ack. Lost sockets reconnect, say hello again and repeat the open command under its `seq`, so every command
is settled exactly once. `python -m loadtests.ws_load PLAN` runs one `WsPlan` (JSON, `-` reads stdin) and
prints one `LoadResult` line.
"""

import argparse
import asyncio
import random
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import uvloop

from loadtests.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Handshake,
    HandshakeRefusedError,
    ProtocolViolationError,
    close_code,
    encode_frame,
)
from loadtests.measure import LoadResult, Recorder

CONNECTS_AT_ONCE: Final = 32
WELCOME_SECONDS_MAX: Final = 30.0
"""How long all sockets together may take to be welcomed before the run starts without the rest."""
TAIL_SECONDS: Final = 10.0
"""How long open commands are awaited after the window before they count as unresolved."""
ACK_EVERY_RESULTS: Final = 32
BACKOFF_SECONDS: Final = 0.05
"""First pause before a reconnect, doubled up to `BACKOFF_SECONDS_MAX`, with full jitter."""
BACKOFF_SECONDS_MAX: Final = 1.0
_STOP_CLOSE_CODES: Final = range(4500, 5000)


class Op(msgspec.Struct, frozen=True):
    """One command of a script: the entity (`cart/<id>`), the operation and its arguments."""

    ent: str
    op: str
    args: dict[str, Any]


class WsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. Socket `w` is a device of its own and cycles through `scripts[w % len(scripts)]`."""

    url: str
    token: str
    scripts: list[list[Op]]
    sockets: int
    seconds: float
    warmup_seconds: float = 1.0
    encoding: str = "msgpack"
    headers: dict[str, str] = {}


class _Socket(asyncio.Protocol):
    """One device. At most one command is open; it stays open until its result arrived."""

    def __init__(self, run: "_Run", worker: int, script: Sequence[Op]) -> None:
        self._run = run
        self._worker = worker
        self._script = script
        self._position = worker % len(script)
        self._device = str(uuid.uuid4())
        self._seq = 0
        self._command: dict[str, Any] | None = None
        self._started = 0.0
        self._failures = 0
        self._transport: asyncio.Transport | None = None
        self._handshake: Handshake | None = None
        self._reader = FrameReader()
        self.welcome = False

    @property
    def open(self) -> bool:
        return self._command is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._reader = FrameReader()
        plan = self._run.plan
        subprotocol = f"atrium.v1.{plan.encoding}"
        self._handshake = Handshake(self._run.netloc, self._run.path, subprotocol, plan.headers)
        self._write(self._handshake.request)

    def data_received(self, data: bytes) -> None:
        try:
            if self._handshake is not None:
                rest = self._handshake.feed(data)
                if rest is None:
                    return
                self._handshake = None
                self._hello()
                data = rest
            for opcode, payload in self._reader.feed(data):
                self._frame(opcode, payload)
        except (HandshakeRefusedError, ProtocolViolationError, msgspec.DecodeError) as error:
            self._run.recorder.outcome(type(error).__name__)
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self.welcome = False
        if not self._run.finished:
            self._run.recorder.outcome("lost")
            self._later(self._reconnect)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode in {TEXT, BINARY}:
            self._message(self._run.decode(payload))
        elif opcode == PING:
            self._write(encode_frame(PONG, payload))
        elif opcode == CLOSE:
            code = close_code(payload)
            self._run.recorder.outcome(f"close {code}")
            if code in _STOP_CLOSE_CODES:
                self._failures = 64
            if self._transport is not None:
                self._write(encode_frame(CLOSE, payload[:2]))
                self._transport.close()

    def _message(self, message: dict[str, Any]) -> None:
        match message["t"]:
            case "result":
                self._on_result(message)
            case "welcome":
                self._on_welcome()
            case "error":
                self._on_error(message)
            case "ping":
                self._say({"t": "pong", "n": message["n"]})
            case "auth_required":
                self._say({"t": "auth", "token": self._run.plan.token})
            case "goaway":
                self._on_goaway()
            case _:
                pass  # changes and presence are for those who watch

    def _hello(self) -> None:
        self._say(
            {
                "t": "hello",
                "v": [1, 1],
                "device_id": self._device,
                "epoch": 1,
                "token": self._run.plan.token,
                "first_unacked": self._seq if self.open else self._seq + 1,
                "subs": [],
            }
        )

    def _on_welcome(self) -> None:
        self.welcome = True
        self._failures = 0
        self._run.welcomed()
        if self.open:
            self._say_command()
        elif self._run.issuing:
            self.next()

    def _on_result(self, message: dict[str, Any]) -> None:
        if self._command is None or message["seq"] != self._seq:
            return
        status = message["status"]
        recorder = self._run.recorder
        recorder.outcome(status if status != "rejected" else f"rejected {message.get('code', '')}")
        if status in {"applied", "duplicate"}:
            recorder.success(self._worker, self._started, self._run.clock())
        else:
            recorder.error()
        self._settle()

    def _on_error(self, message: dict[str, Any]) -> None:
        self._run.recorder.outcome(f"error {message.get('code', '')}")
        if self._command is None:
            return
        if message.get("temporary"):
            self._run.recorder.retry()
            pause = message.get("retry_after_ms", 0) / 1000 or BACKOFF_SECONDS
            self._run.loop.call_later(pause * random.uniform(0.5, 1.0), self._say_command)
            return
        self._run.recorder.error()
        self._seq -= 1  # a refused frame used up no sequence number
        self._settle()

    def _on_goaway(self) -> None:
        self._run.recorder.outcome("goaway")
        if self._transport is not None:
            self._write(encode_frame(CLOSE, (1000).to_bytes(2, "big")))
            self._transport.close()

    def next(self) -> None:
        """Open the next command of the script."""
        op = self._script[self._position]
        self._position = (self._position + 1) % len(self._script)
        self._seq += 1
        self._command = {
            "t": "command",
            "epoch": 1,
            "seq": self._seq,
            "ent": op.ent,
            "op": op.op,
            "args": op.args,
        }
        self._started = self._run.clock()
        self._say_command()

    def _settle(self) -> None:
        self._command = None
        if self._seq % ACK_EVERY_RESULTS == 0:
            self._say({"t": "ack", "results_upto": self._seq})
        if self._run.issuing:
            self.next()
        else:
            self._run.settled()

    def _say_command(self) -> None:
        if self._command is not None and self.welcome:
            self._say(self._command)

    def _say(self, message: dict[str, Any]) -> None:
        self._write(encode_frame(self._run.opcode, self._run.encode(message)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _later(self, action: Callable[[], None]) -> None:
        if self._failures >= 64:
            return  # told to stop for good
        if self.open:
            self._run.recorder.retry()
        ceiling = min(BACKOFF_SECONDS * 2**self._failures, BACKOFF_SECONDS_MAX)
        self._failures = min(self._failures + 1, 10)
        self._run.loop.call_later(random.uniform(0, ceiling), action)

    def _reconnect(self) -> None:
        if not self._run.finished:
            self._run.spawn(self.connect())

    async def connect(self) -> None:
        try:
            await self._run.loop.create_connection(lambda: self, self._run.host, self._run.port)
        except OSError:
            self._run.recorder.outcome("unreachable")
            self._later(self._reconnect)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Run:
    def __init__(self, plan: WsPlan) -> None:
        address = urlsplit(plan.url)
        if address.scheme != "ws" or address.hostname is None:
            raise ValueError(f"the load generator speaks plain ws only, not {plan.url}")
        self.plan = plan
        self.netloc, self.host, self.port = address.netloc, address.hostname, address.port or 80
        self.path = address.path + (f"?{address.query}" if address.query else "")
        binary = plan.encoding == "msgpack"
        self.opcode = BINARY if binary else TEXT
        self.encode = msgspec.msgpack.Encoder().encode if binary else msgspec.json.Encoder().encode
        self.decode = msgspec.msgpack.Decoder().decode if binary else msgspec.json.Decoder().decode
        self.loop = asyncio.get_running_loop()
        self.clock = time.perf_counter  # uvloop's own clock has steps of a millisecond
        self.recorder = Recorder(plan.sockets)
        self.issuing = False
        self.finished = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_welcome = asyncio.Event()
        self._quiet = asyncio.Event()
        scripts = plan.scripts
        self._sockets = [_Socket(self, w, scripts[w % len(scripts)]) for w in range(plan.sockets)]

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def welcomed(self) -> None:
        if not self._all_welcome.is_set() and all(socket.welcome for socket in self._sockets):
            self._all_welcome.set()

    def settled(self) -> None:
        if not self.issuing and not any(socket.open for socket in self._sockets):
            self._quiet.set()

    async def run(self) -> LoadResult:
        await self._connect_all()
        self.issuing = True
        for socket in self._sockets:
            if socket.welcome and not socket.open:
                socket.next()
        await asyncio.sleep(self.plan.warmup_seconds)
        self.recorder.open(self.clock())
        await asyncio.sleep(self.plan.seconds)
        self.recorder.close(self.clock())
        self.issuing = False
        self.settled()
        await _within(self._quiet, TAIL_SECONDS)
        for worker, socket in enumerate(self._sockets):
            if socket.open:
                self.recorder.leave_unresolved(worker)
        self.finished = True
        for socket in self._sockets:
            socket.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.recorder.result()

    async def _connect_all(self) -> None:
        gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def open_one(socket: _Socket) -> None:
            async with gate:
                await socket.connect()

        await asyncio.gather(*(open_one(socket) for socket in self._sockets))
        await _within(self._all_welcome, WELCOME_SECONDS_MAX)


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def run_ws_load(plan: WsPlan) -> LoadResult:
    """Run the plan on the running loop. A socket that is never welcomed shows in `longest_pause_ms`."""
    return await _Run(plan).run()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.ws_load", description=__doc__)
    parser.add_argument("plan", help="path of a WsPlan as JSON, or - for stdin")
    raw_path = parser.parse_args(argv).plan
    raw = sys.stdin.buffer.read() if raw_path == "-" else Path(raw_path).read_bytes()
    result = uvloop.run(run_ws_load(msgspec.json.decode(raw, type=WsPlan)))
    print(msgspec.json.encode(result).decode(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

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

import msgspec
import uvloop

from loadtests.measure import LoadResult, Recorder
from loadtests.wire import BACKOFF_SECONDS, BACKOFF_SECONDS_MAX, STOP_CLOSE_CODES, Endpoint, Message, Op, Wire

CONNECTS_AT_ONCE: Final = 32
WELCOME_SECONDS_MAX: Final = 30.0
"""How long all sockets together may take to be welcomed before the run starts without the rest."""
TAIL_SECONDS: Final = 10.0
"""How long open commands are awaited after the window before they count as unresolved."""
ACK_EVERY_RESULTS: Final = 32


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


class _Socket(Wire):
    """One device. At most one command is open; it stays open until its result arrived."""

    def __init__(self, run: "_Run", worker: int, script: Sequence[Op]) -> None:
        super().__init__(run.endpoint, run.plan.token)
        self._run = run
        self._worker = worker
        self._script = script
        self._position = worker % len(script)
        self._device = str(uuid.uuid4())
        self._seq = 0
        self._command: dict[str, Any] | None = None
        self._started = 0.0
        self._failures = 0
        self.welcome = False

    @property
    def open(self) -> bool:
        return self._command is not None

    def opened(self) -> None:
        self.say(
            {
                "t": "hello",
                "v": [1, 1],
                "device_id": self._device,
                "epoch": 1,
                "token": self.token,
                "first_unacked": self._seq if self.open else self._seq + 1,
                "subs": [],
            }
        )

    def lost(self) -> None:
        self.welcome = False
        if not self._run.finished:
            self._run.recorder.outcome("lost")
            self._later(self._reconnect)

    def ended(self, code: int) -> None:
        self._run.recorder.outcome(f"close {code}")
        if code in STOP_CLOSE_CODES:
            self._failures = 64

    def broken(self, error: Exception) -> None:
        self._run.recorder.outcome(type(error).__name__)

    def heard(self, message: Message) -> None:
        match message.t:
            case "result":
                self._on_result(message)
            case "welcome":
                self._on_welcome()
            case "error":
                self._on_error(message)
            case "goaway":
                self._run.recorder.outcome("goaway")
                self.leave()
            case _:
                pass  # changes and presence are for those who watch

    def _on_welcome(self) -> None:
        self.welcome = True
        self._failures = 0
        self._run.welcomed()
        if self.open:
            self._say_command()
        elif self._run.issuing:
            self.next()

    def _on_result(self, message: Message) -> None:
        if self._command is None or message.seq != self._seq:
            return
        status = message.status
        recorder = self._run.recorder
        recorder.outcome(status if status != "rejected" else f"rejected {message.code}")
        if status in {"applied", "duplicate"}:
            recorder.success(self._worker, self._started, self._run.clock())
        else:
            recorder.error()
        self._settle()

    def _on_error(self, message: Message) -> None:
        self._run.recorder.outcome(f"error {message.code}")
        if self._command is None:
            return
        if message.temporary:
            self._run.recorder.retry()
            pause = message.retry_after_ms / 1000 or BACKOFF_SECONDS
            self._run.loop.call_later(pause * random.uniform(0.5, 1.0), self._say_command)
            return
        self._run.recorder.error()
        self._seq -= 1  # a refused frame used up no sequence number
        self._settle()

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
            self.say({"t": "ack", "results_upto": self._seq})
        if self._run.issuing:
            self.next()
        else:
            self._run.settled()

    def _say_command(self) -> None:
        if self._command is not None and self.welcome:
            self.say(self._command)

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
            await super().connect()
        except OSError:
            self._run.recorder.outcome("unreachable")
            self._later(self._reconnect)


class _Run:
    def __init__(self, plan: WsPlan) -> None:
        self.plan = plan
        self.endpoint = Endpoint(plan.url, plan.encoding, plan.headers)
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
            socket.abort()
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

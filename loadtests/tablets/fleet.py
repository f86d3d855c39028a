"""A tablet of a load: a device with a queue that survives lost sockets, and the channels that it watches.

Commands go out in order, at most 64 without a result. What was not answered goes out again after a reconnect or a
temporary error, under its old sequence number.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import msgspec

from domain.hlc import HybridClock
from loadtests.wire import BACKOFF_SECONDS, BACKOFF_SECONDS_MAX, STOP_CLOSE_CODES, Endpoint, Message, Op, Wire

EPOCH: Final = 1
IN_FLIGHT_MAX: Final = 64
ACK_EVERY_RESULTS: Final = 32
CONNECTS_AT_ONCE: Final = 64


class Device(msgspec.Struct, frozen=True):
    """Who holds the tablet and what it watches, beside what the endpoint subscribes by itself."""

    subject: str
    token: str
    device_id: str
    channels: list[str] = []


class Listener:
    """What a fleet tells. Any of it but `settled` may come again after a lost socket."""

    def settled(self, tablet: "Tablet", message: Message) -> None:
        """The final result of a command, once."""

    def changed(self, tablet: "Tablet", message: Message) -> None:
        """A change on one of its channels."""


class Fleet:
    """Tablets of one endpoint. `outcomes` counts everything that was not as usual."""

    def __init__(self, url: str, devices: Sequence[Device], listener: Listener) -> None:
        endpoint = Endpoint(url)
        self.outcomes: Counter[str] = Counter()
        self.finished = False
        self.ready = asyncio.Event()
        self.listener = listener
        self.tablets = [Tablet(self, endpoint, number, device) for number, device in enumerate(devices)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._current = 0

    async def connect(self, at_once: int = CONNECTS_AT_ONCE) -> None:
        """Every tablet has tried once; see `ready`."""
        gate = asyncio.Semaphore(at_once)

        async def one(tablet: Tablet) -> None:
            async with gate:
                await tablet.connect()

        await asyncio.gather(*(one(tablet) for tablet in self.tablets))

    def became_current(self) -> None:
        """One more tablet has the snapshot of every channel that it asked for."""
        self._current += 1
        if self._current == len(self.tablets):
            self.ready.set()

    @property
    def connected(self) -> int:
        return sum(tablet.welcome for tablet in self.tablets)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def disband(self) -> None:
        """Cut every socket; nobody comes back."""
        self.finished = True
        for tablet in self.tablets:
            tablet.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Tablet(Wire):
    """`open` counts commands without a result."""

    def __init__(self, fleet: Fleet, endpoint: Endpoint, number: int, device: Device) -> None:
        super().__init__(endpoint, device.token)
        self.number = number
        self.device = device
        self.welcome = False
        self._fleet = fleet
        self._clock = HybridClock(_wall_ms)
        self._queue: dict[int, dict[str, Any]] = {}
        self._last = 0
        self._next = 1
        self._in_flight = 0
        self._held = False
        self._answered = 0
        self._snapshots: set[str] = set()
        self._was_current = False
        self._failures = 0
        self._gone = False

    @property
    def open(self) -> int:
        return len(self._queue)

    def issue(self, op: Op) -> int:
        """Queue a command, and send it if the connection is up; its `seq`."""
        self._last += 1
        self._queue[self._last] = {
            "t": "command",
            "epoch": EPOCH,
            "seq": self._last,
            "ent": op.ent,
            "op": op.op,
            "args": op.args,
            "hlc": self._clock.now(),
        }
        self._pump()
        return self._last

    async def connect(self) -> None:
        try:
            await super().connect()
        except OSError:
            self._fleet.outcomes["unreachable"] += 1
            self._come_back()

    # -- Wire -----------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        hello = {
            "t": "hello",
            "v": [1, 1],
            "device_id": self.device.device_id,
            "epoch": EPOCH,
            "token": self.token,
            "hlc": self._clock.now(),
            "first_unacked": self._first_open(),
            "subs": [{"ch": channel} for channel in self.device.channels],
        }
        self.say(hello)

    def heard(self, message: Message) -> None:
        match message.t:
            case "change":
                self._fleet.listener.changed(self, message)
            case "result":
                self._on_result(message)
            case "snapshot":
                self._on_snapshot(message)
            case "welcome":
                self.welcome = True
                self._failures = 0
                self._rewind()
                if not self.device.channels:
                    self._on_current()
            case "error":
                self._on_error(message)
            case "goaway":
                self._fleet.outcomes["goaway"] += 1
                self.leave()
            case _:
                pass

    def ended(self, code: int) -> None:
        self._fleet.outcomes[f"close {code}"] += 1
        self._gone = self._gone or code in STOP_CLOSE_CODES

    def broken(self, error: Exception) -> None:
        self._fleet.outcomes[str(error) or type(error).__name__] += 1

    def lost(self) -> None:
        self.welcome = False
        self._snapshots.clear()
        if not self._fleet.finished:
            self._fleet.outcomes["lost"] += 1
            self._come_back()

    # -- what comes in --------------------------------------------------------------------------------------------

    def _on_snapshot(self, message: Message) -> None:
        if message.last and message.ch in self.device.channels and message.ch not in self._snapshots:
            self._snapshots.add(message.ch)
            if len(self._snapshots) == len(self.device.channels):
                self._on_current()

    def _on_current(self) -> None:
        if not self._was_current:
            self._was_current = True
            self._fleet.became_current()

    def _on_result(self, message: Message) -> None:
        if self._queue.pop(message.seq, None) is None:
            return
        self._in_flight -= 1
        self._answered += 1
        if self._answered % ACK_EVERY_RESULTS == 0:
            self.say({"t": "ack", "results_upto": self._first_open() - 1})
        self._fleet.listener.settled(self, message)
        self._pump()

    def _on_error(self, message: Message) -> None:
        if not message.temporary:
            self._fleet.outcomes[f"error {message.of} {message.code}"] += 1
            return
        if message.of == "command" and not self._held:
            self._fleet.outcomes[f"held {message.code}"] += 1
            self._held = True
            pause = message.retry_after_ms / 1000 or BACKOFF_SECONDS
            asyncio.get_running_loop().call_later(pause * random.uniform(0.5, 1.0), self._rewind)
        elif message.of == "subscribe":
            self._fleet.outcomes[f"not subscribed {message.code}"] += 1
            pause = message.retry_after_ms / 1000 or BACKOFF_SECONDS
            again = {"t": "subscribe", "id": message.ref, "ch": message.ref}
            asyncio.get_running_loop().call_later(pause * random.uniform(0.5, 1.0), self.say, again)

    # -- what goes out --------------------------------------------------------------------------------------------

    def _first_open(self) -> int:
        return next(iter(self._queue), self._last + 1)

    def _rewind(self) -> None:
        self._held = False
        self._in_flight = 0
        self._next = self._first_open()
        self._pump()

    def _pump(self) -> None:
        while self.welcome and not self._held and self._in_flight < IN_FLIGHT_MAX and self._next <= self._last:
            command = self._queue.get(self._next)
            self._next += 1
            if command is not None:
                self._in_flight += 1
                self.say(command)

    def _come_back(self) -> None:
        if self._gone or self._fleet.finished:
            return
        ceiling = min(BACKOFF_SECONDS * 2**self._failures, BACKOFF_SECONDS_MAX)
        self._failures = min(self._failures + 1, 10)
        asyncio.get_running_loop().call_later(random.uniform(0, ceiling), self._reconnect)

    def _reconnect(self) -> None:
        if not self._fleet.finished:
            self._fleet.spawn(self.connect())


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

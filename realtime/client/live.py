"""The client: one socket that comes back by itself, subscriptions that stay current, commands that get a result."""

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from realtime.client.backoff import FullJitter
from realtime.client.encoding import ENCODERS, Encoding, Message
from realtime.client.errors import LiveClosedError, LiveError, LiveRefusedError
from realtime.client.outcome import Result
from realtime.client.queue import CommandQueue, MemoryQueue, Window
from realtime.client.replica import Outcome, Replica
from realtime.client.subscription import Subscription
from realtime.codes import may_reconnect

ACK_EVERY_RESULTS: Final = 32
RETRY_SECONDS: Final = 0.5
OPEN_SECONDS_MAX: Final = 10.0
PING_SECONDS: Final = 5.0
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
_RETRIED_STATUS: Final = frozenset({404, 408, 425, 429})  # 404: the ingress, while no gateway is there

TokenSource = Callable[[], str | Awaitable[str]]


@dataclass(slots=True)
class Stats:
    connects: int = 0
    gaps: int = 0
    duplicates: int = 0
    held: int = 0


class LiveClient:
    """`async with LiveClient("ws://…/api/v1/live", token) as client: result = await client.command(…)`.

    `queue` keeps commands until their results are stored; a durable one survives the process.
    """

    def __init__(
        self,
        url: str,
        token: str | TokenSource = "",
        *,
        encoding: Encoding = "json",
        queue: CommandQueue | None = None,
        backoff: FullJitter | None = None,
        headers: Mapping[str, str] | None = None,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self.queue: CommandQueue = queue or MemoryQueue()
        self.stats = Stats()
        self.welcome: Message | None = None
        self._url = url
        self._token = token
        self._encoder = ENCODERS[encoding]
        self._backoff = backoff or FullJitter()
        self._headers = dict(headers or {})
        self._ping_seconds = ping_seconds
        self._window = Window(self.queue)
        self._replicas: dict[str, Replica] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._results: dict[int, asyncio.Future[Result]] = {}
        self._control: deque[Message] = deque()
        self._greeted: frozenset[str] = frozenset()
        self._work = asyncio.Event()
        self._connected = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._over: LiveClosedError | None = None
        self._next_ref = 0
        self._answered = 0

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting; does not wait for it."""
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        self._end(LiveClosedError(1000, "closed here"))
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connected(self) -> None:
        """Wait until the server has said welcome. Raises `LiveClosedError` when it will not."""
        while self._over is None and self.welcome is None:
            self._connected.clear()
            await self._connected.wait()
        if self._over is not None:
            raise self._over

    # -- what a device does -----------------------------------------------------------------------

    async def subscribe(self, channel: str, mode: str = "patch") -> Subscription:
        """Returns with the first snapshot applied. Raises `LiveRefusedError` or `LiveClosedError`."""
        subscription = self.follow(channel, mode)
        try:
            await subscription.until(lambda one: one.current)
        except LiveError:
            self._forget(channel)
            raise
        return subscription

    def follow(self, channel: str, mode: str = "patch") -> Subscription:
        """Subscribe without waiting for the snapshot."""
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            replica = self._replicas[channel] = Replica(channel, mode)
            subscription = self._subscriptions[channel] = Subscription(replica)
            if self._over is not None:
                subscription.end(self._over)
            elif self.welcome is not None:
                self._resubscribe(channel)
        return subscription

    def unsubscribe(self, channel: str) -> None:
        if self._forget(channel) and self.welcome is not None:
            self._say({"t": "unsubscribe", "ch": channel})

    async def command(
        self,
        ent: str,
        op: str,
        args: dict[str, Any] | None = None,
        *,
        base_ver: int | None = None,
        base_fver: int | None = None,
    ) -> Result:
        """Queue a command and wait for its result, over however many reconnects.

        Cancelling the wait leaves the command in the queue. Raises `LiveClosedError` when the socket is closed for
        good, `LiveRefusedError` when the server does not take commands from here.
        """
        if self._over is not None:
            raise self._over
        body: Message = {"ent": ent, "op": op, "args": args or {}}
        if base_ver is not None:
            body["base_ver"] = base_ver
        if base_fver is not None:
            body["base_fver"] = base_fver
        self._encoder.encode(body)  # raises TypeError now rather than in the sender
        seq = self.queue.append(body)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._results[seq] = future
        self._work.set()
        try:
            return await future
        finally:
            self._results.pop(seq, None)

    def signal(self, ent: str, name: str, args: dict[str, Any]) -> bool:
        """Send a fact for those who watch, now or never: False when there is no socket."""
        if self.welcome is None:
            return False
        self._say({"t": "signal", "ent": ent, "name": name, "args": args})
        return True

    @property
    def resent(self) -> int:
        """Commands sent more than once."""
        return self._window.resent

    # -- the socket -------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._over is None:
            pause = None
            try:
                async with connect(
                    self._url,
                    subprotocols=[self._encoder.subprotocol],  # type: ignore[list-item]
                    additional_headers=self._headers,
                    compression=None,
                    open_timeout=OPEN_SECONDS_MAX,
                    ping_interval=self._ping_seconds,
                    ping_timeout=self._ping_seconds,
                    close_timeout=1.0,
                    max_size=FRAME_BYTES_MAX,
                    max_queue=256,
                    proxy=None,
                ) as socket:
                    pause = await self._converse(socket)
            except InvalidStatus as error:
                status = error.response.status_code
                if 400 <= status < 500 and status not in _RETRIED_STATUS:
                    self._end(LiveClosedError(status, "the server refused the upgrade"))
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd is not None else 1006
                if not may_reconnect(code):
                    self._end(LiveClosedError(code, error.rcvd.reason if error.rcvd is not None else ""))
            except (OSError, InvalidHandshake, TimeoutError):
                pass
            finally:
                self._disconnected()
            if self._over is None:
                await asyncio.sleep(self._backoff.next_pause() if pause is None else pause)

    def _disconnected(self) -> None:
        self.welcome = None
        self._window.hold()
        self._control.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for replica in self._replicas.values():
            replica.expect_snapshot()

    async def _converse(self, socket: ClientConnection) -> float | None:
        """Until the socket closes; after a `goaway` the pause that the server asks for."""
        await socket.send(self._encoder.encode(await self._hello()))
        sender = asyncio.get_running_loop().create_task(self._send(socket))
        decode = self._encoder.decode
        try:
            async for data in socket:
                frame = decode(data)
                if frame["t"] == "goaway":
                    low, high = frame["backoff"]
                    return self._backoff.between(low / 1000, min(high, max(low, frame["drain_ms"])) / 1000)
                await self._on(frame)
            return None
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await sender

    async def _hello(self) -> Message:
        self._greeted = frozenset(self._replicas)
        subs = [
            {"ch": channel, "have": replica.have(), "mode": replica.mode} for channel, replica in self._replicas.items()
        ]
        return {
            "t": "hello",
            "v": [1, 1],
            "device_id": self.queue.device_id,
            "epoch": self.queue.epoch,
            "token": await self._fresh_token(),
            "first_unacked": self.queue.first_unacked(),
            "subs": subs,
        }

    async def _fresh_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        return await token if inspect.isawaitable(token) else token

    async def _send(self, socket: ClientConnection) -> None:
        encode = self._encoder.encode
        epoch = self.queue.epoch
        while True:
            while self._control:
                await socket.send(encode(self._control.popleft()))
            for seq, body in self._window.outgoing():
                await socket.send(encode({"t": "command", "epoch": epoch, "seq": seq, **body}))
            if not self._control:
                self._work.clear()
                await self._work.wait()

    def _say(self, message: Message) -> None:
        self._control.append(message)
        self._work.set()

    # -- frames -----------------------------------------------------------------------------------

    async def _on(self, frame: Message) -> None:
        match frame["t"]:
            case "result":
                self._on_result(frame)
            case "change" | "signal" | "snapshot" | "subscribed":
                self._on_channel(frame)
            case "ping":
                self._say({"t": "pong", "n": frame["n"]})
            case "error":
                self._on_error(frame)
            case "welcome":
                self._on_welcome(frame)
            case "auth_required":
                self._say({"t": "auth", "token": await self._fresh_token()})
            case _:
                pass

    def _on_welcome(self, frame: Message) -> None:
        self.stats.connects += 1
        self._backoff.succeeded()
        self.welcome = frame
        self._connected.set()
        for channel in self._replicas.keys() - self._greeted:  # followed between the hello and this
            self._resubscribe(channel)
        self._rewind()

    def _on_result(self, frame: Message) -> None:
        seq = frame["seq"]
        if frame["epoch"] != self.queue.epoch:
            return
        self.queue.resolve(seq, frame)
        self._window.settled(seq)
        if frame["status"] == "duplicate":
            self.stats.duplicates += 1
        self._answered += 1
        if self._answered % ACK_EVERY_RESULTS == 0:
            self._say({"t": "ack", "results_upto": self.queue.first_unacked() - 1})
        self._work.set()
        future = self._results.get(seq)
        if future is not None and not future.done():
            future.set_result(Result.of(frame))

    def _on_channel(self, frame: Message) -> None:
        channel = frame["ch"]
        replica = self._replicas.get(channel)
        if replica is None:
            return
        match frame["t"]:
            case "subscribed":
                replica.subscribed()
                return
            case "snapshot":
                outcome = replica.snapshot(frame)
            case "signal":
                outcome = replica.signal(frame)
            case _:
                outcome = replica.change(frame)
        if outcome is Outcome.GAP:
            self.stats.gaps += 1
            self._resubscribe(channel)
        elif outcome is not Outcome.IGNORED:
            self._subscriptions[channel].notify()

    def _on_error(self, frame: Message) -> None:
        ref, code = frame["ref"], frame["code"]
        pause = frame["retry_after_ms"] / 1000 or RETRY_SECONDS
        if frame.get("of") == "command":
            if not self._window.awaits(ref):
                return
            if frame["temporary"]:
                self.stats.held += 1
                if not self._window.held:
                    self._window.hold()
                    self._later(pause, self._rewind)
                return
            self._window.hold()
            future = self._results.get(ref)
            if future is not None and not future.done():
                future.set_exception(LiveRefusedError(code, frame.get("detail", "")))
        elif frame.get("of") == "subscribe" and ref in self._subscriptions:
            if frame["temporary"]:
                self._later(pause, lambda: self._resubscribe(ref))
            else:
                self._subscriptions[ref].end(LiveRefusedError(code, frame.get("detail", "")))
                self._forget(ref)

    # -- helpers ----------------------------------------------------------------------------------

    def _resubscribe(self, channel: str) -> None:
        """The channel is the request's own reference: there is at most one of it under way."""
        replica = self._replicas.get(channel)
        if replica is None or self.welcome is None:
            return
        replica.expect_snapshot()
        self._say({"t": "subscribe", "id": channel, "ch": channel, "have": replica.have(), "mode": replica.mode})

    def _rewind(self) -> None:
        self._window.rewind()
        self._work.set()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        pause = self._backoff.between(seconds / 2, seconds)
        timer = asyncio.get_running_loop().call_later(pause, run)
        self._timers.add(timer)

    def _forget(self, channel: str) -> bool:
        self._subscriptions.pop(channel, None)
        return self._replicas.pop(channel, None) is not None

    def _end(self, error: LiveClosedError) -> None:
        if self._over is None:
            self._over = error
        self._connected.set()
        for future in self._results.values():
            if not future.done():
                future.set_exception(self._over)
        for subscription in self._subscriptions.values():
            subscription.end(self._over)

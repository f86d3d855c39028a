"""The client: one socket that comes back by itself, subscriptions that stay current, commands that get a result."""

import asyncio
import contextlib
import inspect
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, Self

import structlog

from domain.hlc import HybridClock
from realtime.client.backoff import FullJitter
from realtime.client.encoding import ENCODERS, Encoding, Message
from realtime.client.errors import LiveClosedError, LiveError, LiveRefusedError
from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.client.link import Link
from realtime.client.observer import Observer
from realtime.client.outcome import Result
from realtime.client.queue import Body, CommandQueue, MemoryQueue
from realtime.client.replica import Outcome, Replica
from realtime.client.sending import Sending, Stats
from realtime.client.subscription import Subscription
from realtime.codes import DEVICE_REVOKED, INSUFFICIENT_STATE, STATE_INVALIDATED

log = structlog.get_logger()

TokenSource = Callable[[], str | Awaitable[str]]
Known = Mapping[str, tuple[int, Any]]
"""`kind/id` → (version, state)."""

_NOT_ANY_MORE: Final = frozenset({STATE_INVALIDATED, DEVICE_REVOKED})


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class LiveClient:
    """`async with LiveClient("ws://…/api/v1/live", token) as client: result = await client.command(…)`.

    `queue` keeps commands until their results are stored; a durable one survives the process. `clock` stamps
    commands. `observer` is told what happens as it happens: a tablet's optimistic state hangs on it.
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
        limits: ClientLimits = DEFAULTS,
        clock: HybridClock | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.queue: CommandQueue = MemoryQueue() if queue is None else queue  # an empty queue is falsy
        self.clock = clock or HybridClock(wall_ms, self.queue.device_id)
        self.stats = Stats()
        self.welcome: Message | None = None
        self.over: LiveClosedError | None = None
        self._limits = limits
        self._token = token
        self._encoder = ENCODERS[encoding]
        self._backoff = backoff or FullJitter()
        self._observer = observer or Observer()
        self._replicas: dict[str, Replica] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._shown: dict[str, Message] = {}
        self._control: deque[Message] = deque()
        self._greeted: frozenset[str] = frozenset()
        self._connected = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        self.link = Link(url, self._encoder, self, backoff=self._backoff, headers=headers or {}, limits=limits)
        self._sending = Sending(self.queue, self._observer, self.stats, self._say, self.link.wake, self._later, limits)

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting; does not wait for it."""
        self.link.start()

    async def close(self) -> None:
        self.ended(LiveClosedError(1000, "closed here"))
        await self.link.stop()

    async def offline(self) -> None:
        """Cut the link and stay away. Commands are queued, states stay as they were."""
        await self.link.cut()

    def online(self) -> None:
        """Come back at once, also after the server had closed for good."""
        self.over = None
        for subscription in self._subscriptions.values():
            subscription.revive()
        self.link.mend()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connected(self) -> None:
        """Wait until the server has said welcome. Raises `LiveClosedError` when it will not."""
        while self.over is None and self.welcome is None:
            self._connected.clear()
            await self._connected.wait()
        if self.over is not None:
            raise self.over

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

    def follow(self, channel: str, mode: str = "patch", known: Known | None = None) -> Subscription:
        """Subscribe without waiting for the snapshot. `known`: entities of the channel from an earlier run."""
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            replica = self._replicas[channel] = Replica(channel, mode)
            for ent, (version, state) in (known or {}).items():
                replica.restore(ent, version, state)
            replica.listener = lambda update: self._observer.updated(channel, update)
            subscription = self._subscriptions[channel] = Subscription(replica)
            if self.over is not None:
                subscription.end(self.over)
            elif self.welcome is not None:
                self._resubscribe(channel)
        return subscription

    def unsubscribe(self, channel: str) -> None:
        self._shown.pop(channel, None)
        if self._forget(channel) and self.welcome is not None:
            self._say({"t": "unsubscribe", "ch": channel})

    def submit(
        self,
        ent: str,
        op: str,
        args: dict[str, Any] | None = None,
        *,
        base_ver: int | None = None,
        base_fver: int | None = None,
    ) -> tuple[int, Body]:
        """Queue a command, stamped by the device's clock, connected or not: its `seq`, and what is queued.

        Raises `StoreError` when it could not be stored, `TypeError` or `ValueError` when no encoding can hold it.
        """
        body: Body = {"ent": ent, "op": op, "args": args or {}, "hlc": self.clock.now()}
        if base_ver is not None:
            body["base_ver"] = base_ver
        if base_fver is not None:
            body["base_fver"] = base_fver
        self._encoder.encode(body)  # raises now rather than in the sender
        return self._sending.submit(body), body

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
        if self.over is not None:
            raise self.over
        seq, _ = self.submit(ent, op, args, base_ver=base_ver, base_fver=base_fver)
        return await self._sending.result(seq)

    def signal(self, ent: str, name: str, args: dict[str, Any]) -> bool:
        """Send a fact for those who watch, now or never: False when there is no socket."""
        if self.welcome is None:
            return False
        self._say({"t": "signal", "ent": ent, "name": name, "args": args})
        return True

    def show(self, channel: str, state: Message) -> None:
        """Show oneself to those on a channel that is followed, for as long as one is there; `{}` takes it back."""
        if state:
            self._shown[channel] = state
        elif self._shown.pop(channel, None) is None:
            return
        subscription = self._subscriptions.get(channel)
        if subscription is not None and subscription.current:
            self._say({"t": "presence", "ch": channel, "state": state})

    @property
    def session_id(self) -> str:
        """The provider session that keeps this device's count; "" before a welcome, and where there is none."""
        return "" if self.welcome is None else str(self.welcome.get("session", ""))

    @property
    def resent(self) -> int:
        """Commands sent more than once."""
        return self._sending.window.resent

    # -- the link's side --------------------------------------------------------------------------

    async def hello(self) -> Message:
        token = await self._fresh_token()
        self._greeted = frozenset(self._replicas)
        return {
            "t": "hello",
            "v": [1, 1],
            "device_id": self.queue.device_id,
            "epoch": self.queue.epoch,
            "token": token,
            "hlc": self.clock.now(),
            "first_unacked": self.queue.first_unacked(),
            "subs": [
                {"ch": channel, "have": replica.have(), "mode": replica.mode}
                for channel, replica in self._replicas.items()
            ],
        }

    def outgoing(self) -> Iterator[Message]:
        while self._control:
            yield self._control.popleft()
        yield from self._sending.outgoing()

    def stalled(self) -> bool:
        return self._sending.stalled()

    def lost(self, code: int) -> None:
        self.welcome = None
        self._control.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._sending.lost()
        for replica in self._replicas.values():
            replica.expect_snapshot()
        if code == INSUFFICIENT_STATE:
            self._sending.renumber()
        elif code in _NOT_ANY_MORE:
            for replica in self._replicas.values():
                replica.forget()
            self._observer.invalidated()
        self._observer.disconnected(code)

    def ended(self, error: LiveClosedError) -> None:
        if self.over is not None:
            return
        self.over = error
        self._connected.set()
        self._sending.end(error)
        for subscription in self._subscriptions.values():
            subscription.end(error)
        self._observer.ended(error)

    async def received(self, frame: Message) -> None:
        if "hlc" in frame:
            with contextlib.suppress(ValueError):  # a stamp that cannot be read orders nothing
                self.clock.observe(frame["hlc"])
        match frame["t"]:
            case "result":
                self._sending.on_result(frame)
            case "change" | "signal" | "snapshot" | "subscribed" | "presence":
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

    # -- frames -----------------------------------------------------------------------------------

    def _on_welcome(self, frame: Message) -> None:
        self.stats.connects += 1
        self.welcome = frame
        self._connected.set()
        for channel in self._replicas.keys() - self._greeted:  # followed between the hello and this
            self._resubscribe(channel)
        for channel in self._greeted - self._replicas.keys():
            self._say({"t": "unsubscribe", "ch": channel})
        self._sending.greeted(frame)
        self._observer.connected()

    def _on_channel(self, frame: Message) -> None:
        channel = frame["ch"]
        replica = self._replicas.get(channel)
        if replica is None:
            return
        subscription = self._subscriptions[channel]
        match frame["t"]:
            case "subscribed":
                replica.subscribed()
                subscription.people.clear()
                return
            case "snapshot":
                outcome = replica.snapshot(frame)
                if outcome is Outcome.READY and channel in self._shown:
                    self._say({"t": "presence", "ch": channel, "state": self._shown[channel]})
            case "signal":
                outcome = replica.signal(frame)
            case "presence":
                subscription.meet(frame)
                return
            case _:
                outcome = replica.change(frame)
        if outcome is Outcome.GAP:
            self.stats.gaps += 1
            self._resubscribe(channel)
        elif outcome is not Outcome.IGNORED:
            subscription.notify()

    def _on_error(self, frame: Message) -> None:
        of, ref = frame.get("of"), frame["ref"]
        if of == "command":
            self._sending.on_error(frame)
        elif of == "subscribe" and ref in self._subscriptions:
            if frame["temporary"]:
                self._later(
                    frame["retry_after_ms"] / 1000 or self._limits.retry_seconds, lambda: self._resubscribe(ref)
                )
                return
            code = frame["code"]
            self._subscriptions[ref].end(LiveRefusedError(code, frame.get("detail", "")))
            self._forget(ref)
            self._observer.withdrawn(ref, code)
        elif of == "presence" and frame["temporary"] and ref in self._shown:
            self._later(
                frame["retry_after_ms"] / 1000 or self._limits.retry_seconds,
                lambda: self.show(ref, self._shown.get(ref, {})),
            )

    # -- helpers ----------------------------------------------------------------------------------

    async def _fresh_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        try:
            token = self._token()
            return await token if inspect.isawaitable(token) else token
        except Exception as error:
            log.exception("no_token")
            raise ConnectionError("no token could be had") from error  # tried again with the next connection

    def _resubscribe(self, channel: str) -> None:
        """The channel is the request's own reference: there is at most one of it under way."""
        replica = self._replicas.get(channel)
        if replica is None or self.welcome is None:
            return
        replica.expect_snapshot()
        self._say({"t": "subscribe", "id": channel, "ch": channel, "have": replica.have(), "mode": replica.mode})

    def _say(self, message: Message) -> None:
        if self.welcome is not None:
            self._control.append(message)
            self.link.wake()

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

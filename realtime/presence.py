"""Presence over all gateways: who is on a channel and what they show, for as long as they are there.

Gateways tell each other over a few bus channels (`atrium:presence:{n}`): a presence channel belongs to one of them
by its hash, so that a gateway holds a bounded number of connections to Redis, and it listens only where it has
subscribers. Nothing here is durable: without Redis the people of one gateway still see each other, and when it is
back everybody asks again.
"""

import asyncio
import time
import weakref
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog

from domain.times import to_rfc3339
from realtime.bucket import TokenBucket
from realtime.feed import Subscriber
from realtime.frames import Error, Present
from realtime.limits import DEFAULTS, Limits
from realtime.ports import Clock, Sleep
from realtime.presence_table import Gathering, Told, Who
from realtime.tasks import Tasks

log = structlog.get_logger()

_pack = msgspec.msgpack.Encoder().encode
_message: Final = msgspec.msgpack.Decoder(Told | Who)
_UNSHOWABLE: Final = (TypeError, ValueError, OverflowError, RecursionError)


class Listening(Protocol):
    async def close(self) -> None: ...


class PresenceBus(Protocol):
    """Redis pub/sub: `publish` returns at once and never raises; `on_reconnect` after a gap in listening."""

    def publish(self, channel: str, payload: bytes) -> None: ...
    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> Listening: ...


class _Lane:
    """One bus channel that is listened to. `task` ends with the subscription in place."""

    __slots__ = ("channels", "idle_since", "listening", "ready", "task")

    def __init__(self) -> None:
        self.channels: dict[str, None] = {}
        self.task: asyncio.Task[None] | None = None
        self.listening: Listening | None = None
        self.ready = False
        self.idle_since: float | None = None


class Presence:
    """`enter` when a subscription stands, `leave` when it ends, `show` for each `presence` frame, `tick` about once
    a second. `gateway` must be this process's alone."""

    def __init__(
        self,
        gateway: str,
        bus: PresenceBus,
        *,
        limits: Limits = DEFAULTS,
        clock: Clock = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.gateway = gateway
        self.channels: dict[str, Gathering] = {}
        self._bus = bus
        self._limits = limits
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._lanes: dict[int, _Lane] = {}
        self._buckets: weakref.WeakKeyDictionary[Subscriber, TokenBucket] = weakref.WeakKeyDictionary()
        self._due: dict[str, None] = {}
        self._pump: asyncio.Task[None] | None = None
        self._tasks = Tasks("presence", gateway)

    async def stop(self) -> None:
        """Tell the others that this gateway's people go, and stop listening."""
        for channel in self.channels.values():
            if channel.has_own():
                self._publish(channel.name, Told(self.gateway, channel.name, [], whole=True))
        self.channels.clear()
        self._due.clear()
        await self._tasks.stop()
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            if lane.listening is not None:
                await lane.listening.close()

    # -- this gateway's connections -----------------------------------------------------------------

    def enter(self, subscriber: Subscriber, name: str) -> None:
        """It subscribes `name`: it gets everyone who is there (a frame only if somebody is), then what changes."""
        channel = self.channels.get(name)
        if channel is None:
            now = self._clock()
            channel = self.channels[name] = Gathering(name, now)
            channel.beat_at = now + self._beat_seconds(name)
            self._listen(name)
        channel.enter(subscriber)
        self._changed(channel)

    def show(
        self, subscriber: Subscriber, name: str, state: dict[str, Any], *, conn_id: str, device_id: str
    ) -> Error | None:
        """What this connection shows of itself; an empty `state` takes it back. None, or the frame that refuses it."""
        channel, now = self.channels.get(name), self._clock()
        bucket = self._buckets.get(subscriber)
        if bucket is None:
            limits = self._limits
            bucket = self._buckets[subscriber] = TokenBucket(limits.presence_per_second, limits.presence_burst, now)
        if not bucket.take(now):
            return Error(ref=name, code="rate", temporary=True, retry_after_ms=bucket.wait_ms(), of="presence")
        if channel is None or subscriber not in channel.subscribers:
            return Error(ref=name, code="not_subscribed", temporary=False, retry_after_ms=0, of="presence")
        if not state:
            channel.hide(subscriber)
            self._changed(channel)
            return None
        clean = self._showable(state)
        if clean is None:
            return Error(ref=name, code="presence_invalid", temporary=False, retry_after_ms=0, of="presence")
        before = channel.shown(subscriber)
        if before is None and len(channel) >= self._limits.presence_people_max:
            wait_ms = int(self._limits.presence_seconds * 1000)
            return Error(ref=name, code="presence_full", temporary=True, retry_after_ms=wait_ms, of="presence")
        since = to_rfc3339(self._wall()) if before is None else before.since
        channel.show(subscriber, Present(conn_id, subscriber.actor.subject, device_id, since, clean))
        self._changed(channel)
        return None

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """It does not subscribe `name` any more, or its socket has ended."""
        channel = self.channels.get(name)
        if channel is None:
            return
        channel.leave(subscriber)
        if channel.subscribers:
            self._changed(channel)
            return
        del self.channels[name]
        self._due.pop(name, None)
        message = channel.message(self.gateway)
        if message is not None:
            self._publish(name, message)
        lane = self._lanes.get(self._lane(name))
        if lane is not None:
            lane.channels.pop(name, None)
            lane.idle_since = None if lane.channels else self._clock()

    def _showable(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """The state as JSON has it, so that both encodings can carry it; None when that cannot be, or is too large."""
        try:
            text = msgspec.json.encode(state)
            if len(text) > self._limits.presence_state_bytes_max:
                return None
            clean = msgspec.json.decode(text, type=dict[str, Any])
            _pack(clean)
        except _UNSHOWABLE:
            return None
        return clean

    # -- time ---------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Leases end, this gateway's own are renewed, bus channels that nobody needs are left."""
        for channel in list(self.channels.values()):
            channel.expire(now)
            if now >= channel.beat_at:
                channel.beat_at = now + self._beat_seconds(channel.name)
                channel.tell_whole()
            if channel.pending():
                self._changed(channel)
        for number, lane in list(self._lanes.items()):
            if lane.idle_since is not None and now >= lane.idle_since + self._limits.unwatch_linger_seconds:
                del self._lanes[number]
                self._tasks.spawn(self._unlisten(lane))

    def _beat_seconds(self, name: str) -> float:
        """A third of the lease at most; each channel its own, so that a common start does not stay one."""
        spread = zlib.crc32(name.encode()) / 2**32
        return self._limits.presence_seconds / 3 * (0.8 + 0.2 * spread)

    def _changed(self, channel: Gathering) -> None:
        """Tell now, or, if that was done a moment ago, when the moment is over."""
        now = self._clock()
        if now >= channel.due_at:
            self._tell(channel, now)
            return
        self._due[channel.name] = None
        if self._pump is None:
            self._pump = self._tasks.spawn(self._tell_later())

    def _tell(self, channel: Gathering, now: float) -> None:
        self._due.pop(channel.name, None)
        if not channel.pending():
            return
        message = channel.message(self.gateway)
        if message is not None:
            self._publish(channel.name, message)
        if channel.deliver() or message is not None:
            channel.due_at = now + self._limits.presence_pause_seconds

    async def _tell_later(self) -> None:
        try:
            while self._due:
                now = self._clock()
                soonest = min(self.channels[name].due_at for name in self._due)
                if soonest > now:
                    await self._sleep(soonest - now)
                    now = self._clock()
                for name in list(self._due):
                    if name in self.channels and self.channels[name].due_at <= now:
                        self._tell(self.channels[name], now)
        finally:
            self._pump = None

    # -- the other gateways -------------------------------------------------------------------------

    def _lane(self, name: str) -> int:
        return zlib.crc32(name.encode()) % self._limits.presence_lanes

    def _publish(self, name: str, message: Told | Who) -> None:
        self._bus.publish(f"atrium:presence:{self._lane(name)}", _pack(message))

    def _listen(self, name: str) -> None:
        number = self._lane(name)
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = _Lane()
            lane.task = self._tasks.spawn(self._start_listening(number, lane))
        elif lane.ready:
            self._publish(name, Who(self.gateway, [name]))
        lane.channels[name] = None
        lane.idle_since = None

    async def _start_listening(self, number: int, lane: _Lane) -> None:
        lane.listening = await self._bus.subscribe(
            f"atrium:presence:{number}", self._published, lambda: self._ask(lane)
        )
        lane.ready = True
        self._ask(lane)

    async def _unlisten(self, lane: _Lane) -> None:
        if lane.task is not None:
            await asyncio.wait({lane.task})
        if lane.listening is not None:
            await lane.listening.close()

    def _ask(self, lane: _Lane) -> None:
        """Listening begins, or something may have been missed: who is there?"""
        names = list(lane.channels)
        size = self._limits.presence_asked_max
        for at in range(0, len(names), size):
            self._publish(names[at], Who(self.gateway, names[at : at + size]))

    def _published(self, payload: bytes) -> None:
        try:
            message = _message.decode(payload)
        except msgspec.DecodeError as error:
            log.warning("presence_unreadable", gateway=self.gateway, error=repr(error))
            return
        if message.gateway == self.gateway:
            return
        if isinstance(message, Who):
            for name in message.channels:
                channel = self.channels.get(name)
                if channel is not None and channel.has_own():
                    channel.tell_whole()
                    self._changed(channel)
            return
        channel = self.channels.get(message.channel)
        if channel is not None:
            channel.heard(message, self._clock() + self._limits.presence_seconds)
            if channel.pending():
                self._changed(channel)

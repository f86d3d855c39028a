"""Redis: the one module that talks to it.

Pub/sub carries changes from hosts to gateways; streams are the topics. Nothing durable lives here only:
when Redis is away, publishing never blocks or raises, subscribers reconnect and are told that they may have
missed something, and `degraded` says so.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from storage.redis_link import NO_RETRY, Link, Pause

log = structlog.get_logger()

_GAP: Final = b""
"""A message of no bytes: the publisher had to drop something meant for this channel."""


class BusAway(ConnectionError):
    """Redis cannot be reached or did not answer in time."""


class BusLimits(msgspec.Struct, frozen=True, kw_only=True):
    buffer_messages_max: int = 10_000
    """Messages waiting to be published; past it they are dropped and their channels told of a gap."""
    buffer_bytes_max: int = 64 * 1024 * 1024
    batch_messages_max: int = 500
    """Messages published in one round trip."""
    answer_s: float = 2.0
    """How long Redis may take to connect or to answer."""
    quiet_s: float = 5.0
    """A subscriber that hears nothing for so long asks whether Redis is still there."""
    backoff_min_s: float = 0.05
    backoff_max_s: float = 2.0


class StreamEntry(msgspec.Struct, frozen=True):
    """One entry of a topic. `id` orders the topic; `fields` are raw bytes by name."""

    id: str
    fields: dict[str, bytes]


class BusHealth(msgspec.Struct, frozen=True):
    """Counters since the start of this process. `degraded`: Redis does not answer now."""

    degraded: bool
    buffered: int
    published: int
    dropped: int
    received: int
    reconnects: int


class Subscription:
    """A channel listened to until closed, across any number of lost connections."""

    def __init__(
        self,
        bus: "Bus",
        channel: str,
        on_message: Callable[[bytes], None],
        on_reconnect: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._channel = channel
        self._on_message = on_message
        self._on_reconnect = on_reconnect
        self._link = Link(bus.url, bus.limits.answer_s)
        self.listening = asyncio.Event()
        self._late = False
        self._closed = False  # `asyncio.wait_for`, which the Redis client sends by, may lose a cancellation
        self._task = asyncio.create_task(self._run())

    async def confirmed(self, within_s: float) -> bool:
        """Whether Redis confirmed in time. If not, `on_reconnect` is called when it does."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.listening.wait(), within_s)
        self._late = not self.listening.is_set()
        return not self._late

    async def close(self) -> None:
        self._closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()
        with suppress(ValueError):
            self._bus.subscriptions.remove(self)

    async def _run(self) -> None:
        pause = Pause(self._bus.limits.backoff_min_s, self._bus.limits.backoff_max_s)
        again = False
        while not self._closed:
            try:
                connection = await self._link.open()
                await connection.send_command("SUBSCRIBE", self._channel)
                await connection.read_response()
                self.listening.set()
                if again or self._late:
                    self._bus.reconnects += 1
                    self._call(self._on_reconnect)
                again, self._late = True, False
                pause.reset()
                await self._listen(connection)
            except (RedisError, OSError) as error:
                log.warning("bus_subscriber_lost", channel=self._channel, error=type(error).__name__)
            finally:
                self.listening.clear()
                await self._link.close()
            await pause.wait()

    async def _listen(self, connection: Any) -> None:
        asked = False
        while not self._closed:
            answer = await connection.read_response(timeout=self._bus.limits.quiet_s)
            if answer is None:
                if asked:
                    raise BusAway("no answer to a ping")
                await connection.send_command("PING")
                self._bus.questions += 1
                asked = True
                continue
            asked = False
            if answer[0] == b"message":
                self._bus.received += 1
                if answer[2] == _GAP:
                    self._call(self._on_reconnect)
                else:
                    self._call(self._on_message, answer[2])

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        """A callback that raises must not end the subscription."""
        try:
            callback(*arguments)
        except Exception:
            log.exception("bus_callback_failed", channel=self._channel)


class Bus:
    """One process's way to Redis. Make it with `connect`, on the loop that will use it; `close` it."""

    def __init__(self, url: str, limits: BusLimits | None = None) -> None:
        self.url = url
        self.limits = limits or BusLimits()
        self.degraded = False
        self.published = 0
        self.dropped = 0
        self.received = 0
        self.reconnects = 0
        self.questions = 0
        self._buffer: deque[tuple[str, bytes]] = deque()
        self._buffered_bytes = 0
        self._gaps: set[str] = set()
        self._wake = asyncio.Event()
        self.idle = asyncio.Event()  # nothing waits to be published
        self.idle.set()
        self._link = Link(url, self.limits.answer_s)
        self._client: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_connect_timeout=self.limits.answer_s,
            socket_timeout=self.limits.answer_s,
            retry=NO_RETRY,
        )
        self.subscriptions: list[Subscription] = []
        self._closed = False
        self._publisher = asyncio.create_task(self._publish_forever())

    @classmethod
    async def connect(cls, url: str, limits: BusLimits | None = None) -> Self:
        """A bus on `redis://…`. Redis being away is no error: the bus is `degraded` until it is there."""
        bus = cls(url, limits)
        with suppress(BusAway):
            await bus.ping()
        return bus

    async def close(self) -> None:
        """Publish what waits if Redis is there, then end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), self.limits.answer_s if not self.degraded else 0)
        self._closed = True
        self._publisher.cancel()
        await asyncio.gather(self._publisher, return_exceptions=True)
        for subscription in list(self.subscriptions):
            await subscription.close()
        await self._link.close()
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def publish(self, channel: str, payload: bytes) -> None:
        """Send soon, in order, at least once while there is room; returns at once and never raises.

        Without room the message is dropped and the channel's subscribers get `on_reconnect` later.
        """
        full = len(self._buffer) >= self.limits.buffer_messages_max
        if full or self._buffered_bytes + len(payload) > self.limits.buffer_bytes_max:
            self.dropped += 1
            self._gaps.add(channel)
        else:
            self._buffer.append((channel, payload))
            self._buffered_bytes += len(payload)
        self.idle.clear()
        self._wake.set()

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> Subscription:
        """Listen until closed. Returns when Redis has confirmed, or after `answer_s` without it.

        `on_reconnect()`: messages may have been missed (the connection was lost, or a publisher dropped some).
        """
        subscription = Subscription(self, channel, on_message, on_reconnect)
        self.subscriptions.append(subscription)
        await subscription.confirmed(self.limits.answer_s)
        return subscription

    async def _publish_forever(self) -> None:
        pause = Pause(self.limits.backoff_min_s, self.limits.backoff_max_s)
        connection: Any = None
        while not self._closed:
            await self._wake.wait()
            try:
                if connection is None:
                    connection = await self._link.open()
                await self._publish_batch(connection)
            except (RedisError, OSError) as error:
                self._mark(away=True, error=error)
                connection = None
                await self._link.close()
                await pause.wait()
            else:
                self._mark(away=False)
                pause.reset()
                if not self._buffer and not self._gaps:
                    self._wake.clear()
                    self.idle.set()

    async def _publish_batch(self, connection: Any) -> None:
        """One round trip. What it sent leaves the buffer only when Redis has answered."""
        size = min(len(self._buffer), self.limits.batch_messages_max)
        batch = [self._buffer[at] for at in range(size)]
        gaps = list(self._gaps) if size == len(self._buffer) else []  # a gap comes after what was kept
        commands = [("PUBLISH", channel, payload) for channel, payload in batch]
        commands += [("PUBLISH", channel, _GAP) for channel in gaps]
        if not commands:
            return
        await connection.send_packed_command(connection.pack_commands(commands))
        for _ in commands:
            await connection.read_response()
        for _ in batch:
            self._buffered_bytes -= len(self._buffer.popleft()[1])
        self._gaps.difference_update(gaps)
        self.published += size

    async def append(self, stream: str, entries: Sequence[Mapping[str, bytes | str]], length_max: int) -> list[str]:
        """Append in order in one round trip; the stream keeps about `length_max` entries. Raises `BusAway`.

        Answers the ids. After a `BusAway` some may have been appended: consumers deduplicate by a field.
        """
        async with self._talking():
            pipe = self._client.pipeline(transaction=False)
            for fields in entries:
                pipe.xadd(stream, dict(fields), maxlen=length_max, approximate=True)  # type: ignore[arg-type]
            return [one.decode() for one in await pipe.execute()]

    async def read(self, stream: str, after: str = "0-0", count: int = 100) -> list[StreamEntry]:
        """Entries after the id `after`, oldest first. Raises `BusAway`."""
        async with self._talking():
            found = await self._client.xrange(stream, min=f"({after}", max="+", count=count)
        return _entries(found)

    async def newest_id(self, stream: str) -> str:
        """The id of the last entry, `0-0` of an empty stream. Raises `BusAway`."""
        async with self._talking():
            found = _entries(await self._client.xrevrange(stream, count=1))
        return found[0].id if found else "0-0"

    async def join_group(self, stream: str, group: str, start: str = "0-0") -> None:
        """Make a consumer group that begins after `start` (`$`: now), if it is not there. Raises `BusAway`."""
        async with self._talking():
            try:
                await self._client.xgroup_create(stream, group, id=start, mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def read_group(self, stream: str, group: str, consumer: str, count: int = 100) -> list[StreamEntry]:
        """Entries that no consumer of the group has had; `acknowledge` them when done. Raises `BusAway`."""
        async with self._talking():
            found: Any = await self._client.xreadgroup(group, consumer, {stream: ">"}, count=count)
        return _entries(found[0][1]) if found else []

    async def claim_stale(
        self, stream: str, group: str, consumer: str, idle_ms: int, count: int = 100
    ) -> list[StreamEntry]:
        """Take over entries that another consumer had and did not acknowledge in `idle_ms`. Raises `BusAway`."""
        async with self._talking():
            found: Any = await self._client.xautoclaim(stream, group, consumer, idle_ms, count=count)
        return _entries(found[1])

    async def acknowledge(self, stream: str, group: str, ids: Sequence[str]) -> None:
        async with self._talking():
            await self._client.xack(stream, group, *ids)

    async def ping(self) -> float:
        """The round trip in seconds. Raises `BusAway`."""
        started = time.perf_counter()
        async with self._talking():
            await self._client.ping()
        return time.perf_counter() - started

    def health(self) -> BusHealth:
        return BusHealth(
            degraded=self.degraded,
            buffered=len(self._buffer),
            published=self.published,
            dropped=self.dropped,
            received=self.received,
            reconnects=self.reconnects,
        )

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        try:
            yield
        except ResponseError:
            raise
        except (RedisError, OSError) as error:
            self._mark(away=True, error=error)
            raise BusAway(type(error).__name__) from error
        self._mark(away=False)

    def _mark(self, *, away: bool, error: Exception | None = None) -> None:
        if away and not self.degraded:
            log.warning("bus_away", error=type(error).__name__)
        elif self.degraded and not away:
            log.info("bus_back")
        self.degraded = away


def _entries(found: Any) -> list[StreamEntry]:
    return [
        StreamEntry(id_.decode(), {name.decode(): value for name, value in fields.items()}) for id_, fields in found
    ]

"""How often each client has asked, counted for all gateways together: the one module with Redis calls for it.

A sliding window: what was counted in the window before weighs as much as of it still lies within the last `seconds`.
Counts are granted in chunks, and what of a chunk was not used comes back with the next question, so that a gateway
need not ask for every request.
"""

import time
from typing import Any, Final, Protocol

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from storage.bus import BusAway

KEY_PREFIX: Final = "atrium:rate:"
_ANSWER_S: Final = 0.25
"""How long Redis may take: a request waits for it."""
_NO_RETRY: Final = Retry(NoBackoff(), 0)

_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local quota, width, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local back, back_at = tonumber(ARGV[4]), tonumber(ARGV[5])
local at, into = math.floor(now / width), now % width
local kept = redis.call('HMGET', KEYS[1], 'at', 'count', 'before')
local count, before = tonumber(kept[2] or 0), tonumber(kept[3] or 0)
local kept_at = tonumber(kept[1] or at)
if kept_at == at - 1 then before, count = count, 0 elseif kept_at ~= at then before, count = 0, 0 end
if back_at == at then count = math.max(0, count - back) end
if back_at == at - 1 then before = math.max(0, before - back) end
local free = math.max(0, math.floor(quota - count - before * (width - into) / width))
local granted = math.min(wanted, free)
count = count + granted
redis.call('HSET', KEYS[1], 'at', at, 'count', count, 'before', before)
redis.call('PEXPIRE', KEYS[1], 2 * width)
local wait = 0
if granted < wanted then
  if count < quota then
    wait = math.ceil((1 - (quota - count - 1) / before) * width) - into
  else
    wait = width - into + math.ceil((1 - (quota - 1) / count) * width)
  end
end
return {granted, free - granted, width - into, at, math.max(1, wait)}
"""


class Grant(msgspec.Struct, frozen=True):
    """`granted` of what was wanted, `remaining` beside it. `resets_ms`: until the window ends; `at` names it.

    `wait_ms`: until one more will be free, when less than wanted was granted.
    """

    granted: int
    remaining: int
    resets_ms: int
    at: int
    wait_ms: int


class Counters(Protocol):
    async def take(self, key: str, quota: int, seconds: int, wanted: int, back: int = 0, back_at: int = 0) -> Grant:
        """Up to `wanted` of `quota` in `seconds`, atomically. `back` of what window `back_at` granted was not used.

        Raises `BusAway`.
        """


class RedisCounters:
    """Counts in Redis, by Redis' clock. Make it on the loop that uses it; `close` it."""

    def __init__(self, url: str) -> None:
        self._client: Redis = Redis.from_url(
            url, protocol=2, socket_connect_timeout=_ANSWER_S, socket_timeout=_ANSWER_S, retry=_NO_RETRY
        )
        self._take: Any = self._client.register_script(_TAKE)

    async def take(self, key: str, quota: int, seconds: int, wanted: int, back: int = 0, back_at: int = 0) -> Grant:
        try:
            found = await self._take(keys=[KEY_PREFIX + key], args=[quota, seconds * 1_000, wanted, back, back_at])
        except (RedisError, OSError) as error:
            raise BusAway(type(error).__name__) from error
        return Grant(*found)

    async def close(self) -> None:
        await self._client.aclose()


class MemoryCounters:
    """The same in this process alone, for when Redis is away. Keeps the `keys_max` that were last asked for."""

    def __init__(self, clock: Any = time.time, keys_max: int = 50_000) -> None:
        """`clock`: seconds since the epoch."""
        self._clock = clock
        self._keys_max = keys_max
        self._kept: dict[str, tuple[int, int, int]] = {}

    async def take(self, key: str, quota: int, seconds: int, wanted: int, back: int = 0, back_at: int = 0) -> Grant:
        now, width = int(self._clock() * 1_000), seconds * 1_000
        at, into = divmod(now, width)
        kept_at, count, before = self._kept.pop(key, (at, 0, 0))
        if kept_at != at:
            count, before = 0, count if kept_at == at - 1 else 0
        if back_at == at:
            count = max(0, count - back)
        elif back_at == at - 1:
            before = max(0, before - back)
        free = max(0, (quota * width - count * width - before * (width - into)) // width)
        granted = min(wanted, free)
        count += granted
        while len(self._kept) >= self._keys_max:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (at, count, before)
        wait = _wait_ms(quota, width, into, count, before) if granted < wanted else 0
        return Grant(granted, free - granted, width - into, at, max(1, wait))


def _wait_ms(quota: int, width: int, into: int, count: int, before: int) -> int:
    """Until one more is free: while this window goes on, or when enough of it lies behind."""
    if count < quota:
        return -(-(before - (quota - count - 1)) * width // before) - into
    return width - into - (-(count - (quota - 1)) * width // count)

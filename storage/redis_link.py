"""One raw connection to Redis, and how long to wait before it is tried again."""

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

NO_RETRY: Final = Retry(NoBackoff(), 0)


class Link:
    """One raw connection: who reads and who writes is up to its owner. `answer_s`: how long Redis may take."""

    def __init__(self, url: str, answer_s: float) -> None:
        self._pool: Any = ConnectionPool.from_url(
            url, protocol=2, socket_connect_timeout=answer_s, socket_timeout=answer_s, retry=NO_RETRY
        )
        self._connection: Any = None

    async def open(self) -> Any:
        self._connection = self._pool.make_connection()
        await self._connection.connect()
        return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)


class Pause:
    """Exponential backoff with full jitter, in seconds."""

    def __init__(self, min_s: float, max_s: float) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._next_s = min_s

    def reset(self) -> None:
        self._next_s = self._min_s

    async def wait(self) -> None:
        await asyncio.sleep(random.uniform(self._min_s, self._next_s))
        self._next_s = min(self._next_s * 2, self._max_s)

"""What a gateway looked up in plain tables lately, so that not every command asks Postgres again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

TTL_MS: Final = 5_000
"""How long a gateway goes by what it has looked up: a change shows after at most this."""
ENTRIES_MAX: Final = 20_000


class Clock(Protocol):
    def now_ms(self) -> int: ...


class Lookups(Generic[T]):
    """Values by id. Concurrent misses of one id share one query; misses are not kept."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[dict[str, T]]], clock: Clock) -> None:
        self._fetch_all = fetch
        self._clock = clock
        self._held: dict[str, tuple[int, T]] = {}
        self._loading: dict[str, asyncio.Task[dict[str, T]]] = {}

    async def get(self, id: str) -> T | None:
        held = self._held.get(id)
        if held is not None and held[0] > self._clock.now_ms():
            return held[1]
        return (await self._load((id,))).get(id)

    async def get_all(self, ids: Iterable[str]) -> dict[str, T]:
        """Those of `ids` that exist."""
        now, found, missing = self._clock.now_ms(), {}, []
        for id_ in dict.fromkeys(ids):
            held = self._held.get(id_)
            if held is not None and held[0] > now:
                found[id_] = held[1]
            else:
                missing.append(id_)
        if missing:
            found |= await self._load(tuple(missing))
        return found

    def forget(self, id: str) -> None:
        self._held.pop(id, None)

    async def _load(self, ids: tuple[str, ...]) -> dict[str, T]:
        if len(ids) > 1:
            return await self._fetch(ids)
        task = self._loading.get(ids[0])
        if task is None:
            task = asyncio.ensure_future(self._fetch(ids))
            self._loading[ids[0]] = task
            task.add_done_callback(lambda _: self._loading.pop(ids[0], None))
        return await asyncio.shield(task)

    async def _fetch(self, ids: tuple[str, ...]) -> dict[str, T]:
        found = await self._fetch_all(ids)
        until = self._clock.now_ms() + TTL_MS
        for id_, value in found.items():
            while len(self._held) >= ENTRIES_MAX:
                del self._held[next(iter(self._held))]
            self._held[id_] = (until, value)
        return found

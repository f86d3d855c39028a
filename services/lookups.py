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
    """Values by id. Whatever is missed while a query runs is the next query; misses are not kept."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[dict[str, T]]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: dict[str, tuple[int, T]] = {}
        self._wanted: dict[str, asyncio.Future[T | None]] = {}
        self._under_way: dict[str, asyncio.Future[T | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, id: str) -> T | None:
        if "\x00" in id:
            return None  # no table can hold it, and asking would fail the query that others wait for too
        held = self._held.get(id)
        if held is not None and held[0] > self._clock.now_ms():
            return held[1]
        return await asyncio.shield(self._want(id))

    async def get_all(self, ids: Iterable[str]) -> dict[str, T]:
        """Those of `ids` that exist."""
        wanted = list(dict.fromkeys(ids))
        found = await asyncio.gather(*(self.get(id_) for id_ in wanted))
        return {id_: value for id_, value in zip(wanted, found, strict=True) if value is not None}

    def forget(self, id: str) -> None:
        self._held.pop(id, None)

    def _want(self, id: str) -> "asyncio.Future[T | None]":
        waiting = self._wanted.get(id) or self._under_way.get(id)
        if waiting is None:
            waiting = self._wanted[id] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run())
        return waiting

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._under_way, self._wanted = self._wanted, {}
                await self._look_up(self._under_way)
        finally:
            self._under_way = {}
            self._task = None

    async def _look_up(self, wanted: "dict[str, asyncio.Future[T | None]]") -> None:
        try:
            found = await self._fetch(list(wanted))
        except Exception as error:
            for waiting in wanted.values():
                waiting.set_exception(error)
                waiting.exception()  # whoever asked may have gone: that is no news to anybody else
            return
        until = self._clock.now_ms() + TTL_MS
        for id_, value in found.items():
            while len(self._held) >= ENTRIES_MAX:
                del self._held[next(iter(self._held))]
            self._held[id_] = (until, value)
        for id_, waiting in wanted.items():
            waiting.set_result(found.get(id_))

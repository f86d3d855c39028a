"""The steward keeps every shard with a host that answers (invariants 1, 2 and 11). Plain asyncio, no Ray.

It decides nothing that Postgres does not enforce: two stewards at once would be wasteful, not wrong. A host
that does not answer for `host_down_ms` is fenced and its shards are seized; one that is to leave, or that
has more than its share, hands shards over warm, a slice at a time.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import structlog

from actors.runtime.balance import Move, next_move, owned, spread_over
from actors.runtime.limits import Limits
from storage.journal.interface import HostRecord, Placement, ShardMap

log = structlog.get_logger()
T = TypeVar("T")


class Hosts(Protocol):
    """How the steward reaches hosts. Calls that do not come back raise."""

    async def ensure(self, host: str) -> None:
        """Have this host exist (its process may still be starting)."""

    async def ping(self, host: str) -> None: ...

    async def release(self, host: str, shards: Sequence[int], to: str) -> list[str]: ...

    async def adopt(self, host: str, keys: Sequence[str]) -> None: ...

    async def retire(self, host: str) -> None:
        """End a host that owns nothing any more."""


class HostDownError(Exception):
    """A host fell silent while it was asked for something."""


class Steward:
    def __init__(self, placement: Placement, hosts: Hosts, limits: Limits) -> None:
        self._placement = placement
        self._hosts = hosts
        self._limits = limits
        self._answered: dict[str, float] = {}
        self._first_seen: dict[str, float] = {}
        self._pinging: dict[str, asyncio.Task[None]] = {}
        self._retiring: dict[str, asyncio.Task[None]] = {}
        self._looked = 0.0
        self._ensured: set[str] = set()
        self.seized = 0
        self.moved = 0
        self.failed = 0

    async def tend_forever(self) -> None:
        while True:
            try:
                moved = await self.tend()
            except Exception as error:
                log.warning("steward_round_failed", error=repr(error))
                self.failed += 1
                moved = False
            if not moved:
                await asyncio.sleep(self._limits.steward_round_ms / 1000)

    async def tend(self) -> bool:
        """One round; True when shards moved, so that the next round should follow at once."""
        records = await self._placement.hosts()
        await self._call_on(records)
        shard_map = await self._placement.shard_map()
        up = [record.name for record in records if record.wanted and self._is_up(record.name)]
        if not up:
            return False
        if "" in shard_map.owners:
            shard_map = await self._placement.assign_free(up)
        if await self._seize(records, shard_map, up):
            return True
        leaving = [record.name for record in records if not record.wanted and self._is_up(record.name)]
        move = next_move(shard_map, up, leaving, self._limits.handover_shards_max)
        if move is not None:
            await self.hand_over(move)
            return True
        await self._retire(records, shard_map)
        return False

    async def hand_over(self, move: Move) -> None:
        """A planned move: the source lets go, the target takes over with the live entities preloaded."""
        keys = await self._unless_down(move.source, self._hosts.release(move.source, move.shards, move.target))
        self.moved += len(move.shards)
        log.info("shards_moved", source=move.source, target=move.target, shards=len(move.shards), entities=len(keys))
        await self._unless_down(move.target, self._hosts.adopt(move.target, keys))

    async def _unless_down(self, host: str, call: Coroutine[Any, Any, T]) -> T:
        """What `call` answers. One that hangs must not keep the steward from the other hosts for ever."""
        asked = asyncio.get_running_loop().create_task(call)
        try:
            while not (await asyncio.wait([asked], timeout=self._limits.steward_round_ms / 1000))[0]:
                self._look()
                self._start_ping(host)
                if self._is_down(host):
                    raise HostDownError(host)
        finally:
            asked.cancel()
        return asked.result()

    async def _call_on(self, records: Sequence[HostRecord]) -> None:
        """Start pings (one at a time per host) and give them a moment to come back."""
        self._look()
        for record in records:
            name = record.name
            self._first_seen.setdefault(name, self._looked)
            if record.wanted and name not in self._ensured:
                await self._hosts.ensure(name)
                self._ensured.add(name)
            if record.wanted or name in self._ensured:
                self._start_ping(name)
        if self._pinging:
            await asyncio.wait(list(self._pinging.values()), timeout=self._limits.steward_round_ms / 1000)
            self._look()

    def _look(self) -> None:
        """While the steward could not look (Postgres was away, it was stopped), nobody's silence counts."""
        now = asyncio.get_running_loop().time()
        blind = now - self._looked
        if blind > self._limits.host_down_ms / 2000:
            self._answered = {name: at + blind for name, at in self._answered.items()}
        self._looked = now

    def _start_ping(self, name: str) -> None:
        if name not in self._pinging:
            self._pinging[name] = asyncio.get_running_loop().create_task(self._ping(name))

    async def _ping(self, name: str) -> None:
        try:
            async with asyncio.timeout(self._limits.host_down_ms / 1000):
                await self._hosts.ping(name)
            self._answered[name] = asyncio.get_running_loop().time()
        except Exception as error:
            log.info("host_silent", host=name, error=type(error).__name__)
        finally:
            self._pinging.pop(name, None)

    def _is_up(self, name: str) -> bool:
        answered = self._answered.get(name)
        return answered is not None and self._silent_for(answered) < self._limits.host_down_ms / 1000

    def _is_down(self, name: str) -> bool:
        """Silent for so long that its shards must go elsewhere. A host never heard of gets its time to start."""
        answered = self._answered.get(name)
        if answered is not None:
            return self._silent_for(answered) >= self._limits.host_down_ms / 1000
        first_seen = self._first_seen.setdefault(name, asyncio.get_running_loop().time())
        return self._silent_for(first_seen) >= self._limits.host_start_ms / 1000

    @staticmethod
    def _silent_for(since: float) -> float:
        return asyncio.get_running_loop().time() - since

    async def _seize(self, records: Sequence[HostRecord], shard_map: ShardMap, up: Sequence[str]) -> bool:
        """Take shards from hosts that do not answer: fenced in Postgres, whatever they still believe."""
        by_owner = owned(shard_map)
        seized = False
        for record in records:
            shards = by_owner.get(record.name)
            if not shards or not self._is_down(record.name):
                continue
            counts = {name: len(by_owner.get(name, ())) for name in up}
            for move in spread_over(shards, record.name, counts):
                await self._placement.seize(list(move.shards), record.name, move.target)
                log.warning("shards_seized", source=record.name, target=move.target, shards=len(move.shards))
                await self._unless_down(move.target, self._hosts.adopt(move.target, []))
                self.seized += len(move.shards)
            seized = True
        return seized

    async def _retire(self, records: Sequence[HostRecord], shard_map: ShardMap) -> None:
        owners = set(shard_map.owners)
        for record in records:
            if not record.wanted and record.name not in owners and await self._is_retired(record.name):
                await self._placement.forget(record.name)
                for table in (self._answered, self._first_seen):
                    table.pop(record.name, None)
                self._ensured.discard(record.name)
                log.info("host_retired", host=record.name)

    async def _is_retired(self, name: str) -> bool:
        """Begin to end it, unless that was begun. One that takes its time is asked for again by the next round."""
        retiring = self._retiring.get(name)
        if retiring is None:
            retiring = asyncio.get_running_loop().create_task(self._hosts.retire(name))
            self._retiring[name] = retiring
        ended, _ = await asyncio.wait([retiring], timeout=self._limits.steward_round_ms / 1000)
        self._look()
        if not ended:
            return False
        del self._retiring[name]
        retiring.result()
        return True

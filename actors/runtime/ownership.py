"""Which shards a host serves, and how it gives some away (invariants 1 and 11)."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from actors.runtime.shards import SHARDS
from storage.journal.interface import Lease, Placement, ShardMap

log = structlog.get_logger()

_LOOK_AGAIN_SECONDS = 0.05


class ShardOwner(Protocol):
    """The host's entities, as far as moving them goes."""

    lease: Lease

    async def snapshot(self, shards: set[int]) -> None:
        """Write snapshots of the live entities of these shards, as far as they are committed."""

    async def settle(self, shards: set[int]) -> list[str]:
        """Commit and snapshot all that these shards have under way; returns the keys of what is live."""

    def forget(self, shards: set[int]) -> None:
        """Drop them from memory, also what is being loaded."""

    async def renew(self) -> None:
        """Take a new epoch, so that nothing of the old one can land any more."""


class Ownership:
    """The shard map as this host knows it. `owned` are the shards it serves now."""

    def __init__(self, host: str, placement: Placement, owner: ShardOwner) -> None:
        self.map = ShardMap(0, ("",) * SHARDS)
        self.owned: set[int] = set()
        self._host = host
        self._placement = placement
        self._owner = owner
        self._giving: set[int] = set()
        self._releasing: set[asyncio.Task[list[str]]] = set()
        self._looked = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read the shard map; entities of shards that went elsewhere leave memory."""
        shard_map = await self._placement.shard_map()
        if shard_map.version >= self.map.version:
            self.take(shard_map)

    def take(self, shard_map: ShardMap) -> None:
        """Go by this map from now on."""
        self.map = shard_map
        owned = {shard for shard, owner in enumerate(shard_map.owners) if owner == self._host} - self._giving
        lost = self.owned - owned
        self.owned = owned
        if lost:
            self._owner.forget(lost)

    def in_doubt(self) -> None:
        """Someone thinks that a shard is ours: look again, at most every 50 ms."""
        loop = asyncio.get_running_loop()
        idle = self._looking is None or self._looking.done()
        if idle and loop.time() - self._looked >= _LOOK_AGAIN_SECONDS:
            self._looked = loop.time()
            self._looking = loop.create_task(self._look_again())

    async def _look_again(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            log.warning("map_not_read", host=self._host, error=repr(error))

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()

    async def release(self, shards: Sequence[int], to: str) -> list[str]:
        """Give shards to another host, warm: returns the keys that were live, to be preloaded there.

        From the first step on new commands for them are answered `not_owner`, and wait at the client. It is
        brought to its end also when its caller goes away: else the shards would be with nobody.
        """
        releasing = asyncio.get_running_loop().create_task(self._release(set(shards) & self.owned, to))
        self._releasing.add(releasing)
        releasing.add_done_callback(self._releasing.discard)
        return await asyncio.shield(releasing)

    async def _release(self, giving: set[int], to: str) -> list[str]:
        if not giving:
            return []
        await self._owner.snapshot(giving)
        giving &= self.owned
        self._giving |= giving
        self.owned -= giving
        try:
            keys = await self._owner.settle(giving)
            shard_map = await self._placement.hand_over(self._owner.lease, sorted(giving), to)
        except Exception:
            await self._owner.renew()  # whatever became of the hand-over, it cannot land from now on
            self._decided(giving, await self._map_now())
            raise
        self._decided(giving, shard_map)
        return keys

    def _decided(self, giving: set[int], shard_map: ShardMap) -> None:
        """The hand-over is decided, and `shard_map` was read after it: an older one must not be gone by.

        Nor this one, if the answer to a later move overtook it.
        """
        self._giving -= giving
        self.take(shard_map if shard_map.version >= self.map.version else self.map)
        self._owner.forget(giving)

    async def _map_now(self) -> ShardMap:
        """The map as it is from now on. Never gives up: without it nobody can tell whose the shards are."""
        while True:
            try:
                return await self._placement.shard_map()
            except Exception as error:
                log.warning("map_not_read", host=self._host, error=repr(error))
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

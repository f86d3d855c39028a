"""Who breaks things: kills, hangs, zombies, moves, outages, at random moments until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable

from actors.runtime.client import HostUnavailableError
from actors.runtime.shards import shard_of
from actors.runtime.steward import Steward
from tests.simulation.world import Incarnation, World

_HOSTS_MAX = 4


class Chaos:
    def __init__(self, world: World, entities: list[str]) -> None:
        self._world = world
        self._rng = world.rng
        self._entities = entities
        self._stopped = False
        self._next_host = 100
        self.steward = Steward(world.placement, world, world.profile.limits)
        actions: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "hang": self._hang,
            "zombie": self._zombie,
            "seize": self._seize,
            "move": self._move,
            "scale": self._scale,
            "commit_refused": self._curse,
            "store_away": self._outage,
            "snapshots_deleted": self._delete_snapshots,
            "passivation": self._passivate,
            "bystander_moves": self._stale_placement,
        }
        self._actions = [action for name, action in actions.items() if name in world.profile.faults]

    async def rage(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self._rng.expovariate(1 / self._world.profile.chaos_every_s))
            if self._actions and not self._stopped:
                await self._rng.choice(self._actions)()

    async def heal(self) -> None:
        """End all faults: everyone continues, the dead start again, zombies are gone."""
        world = self._world
        self._stopped = True
        world.record.fault("healing", 1.0, planned=not world.profile.faults)
        world.weather.faults = frozenset()
        world.weather.away_until = 0.0
        world.weather.cursed = ""
        for one in world.everyone:
            if one.process.frozen and not one.process.dead:
                world.loop.resume(one.process)
        await asyncio.sleep(0.2)
        for one in world.everyone:
            if world.current.get(one.name) is not one:
                world.kill(one, "a zombie at the end")
            elif one.ready and not one.host.running:
                world.kill(one, "was being retired")
        needed = set(world.store.owners) | set(world.current)
        for name in sorted(needed - {""}):
            one_now = world.current.get(name)
            if one_now is None or one_now.process.dead:
                world.start_host(name)
        while len(world.running()) < len(world.current):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.05)

    def _one(self) -> Incarnation | None:
        running = self._world.running()
        return self._rng.choice(running) if running else None

    def _shards(self, owner: str) -> list[int]:
        """Some shards of a host, those of live entities among them more often than not."""
        owned = [shard for shard, name in enumerate(self._world.store.owners) if name == owner]
        used = {shard_of("strand", entity) for entity in self._entities}
        chosen = [shard for shard in owned if self._rng.random() < (0.6 if shard in used else 0.1)]
        return chosen or owned[:1]

    async def _kill(self) -> None:
        one = self._one()
        if one is not None:
            pause = self._rng.choice((0.05, 0.3, 1.5))
            self._world.record.fault(f"kill {one}", pause + 1.0)
            self._world.kill(one, "killed")
            await asyncio.sleep(pause)
            self._world._restart(one)

    async def _hang(self) -> None:
        one = self._one()
        if one is None:
            return
        world = self._world
        duration = self._rng.choice((0.05, 0.5, 2.0, 5.0))
        world.record.fault(f"hang {one}", duration + 1.0)
        world.loop.suspend(one.process)
        world.loop.call_later(duration, self._wake, one)
        if "zombie" in world.profile.faults and self._rng.random() < 0.3:
            await asyncio.sleep(self._rng.uniform(0.0, duration))
            if world.current.get(one.name) is one and one.process.frozen:
                world.start_host(one.name)
        elif "seize" in world.profile.faults and self._rng.random() < 0.5:
            await asyncio.sleep(self._rng.uniform(0.0, duration))
            await self._seize_from(one)

    def _wake(self, one: Incarnation) -> None:
        if one.process.frozen and not one.process.dead:
            self._world.record.note(f"{one} continues")
            self._world.loop.resume(one.process)

    async def _zombie(self) -> None:
        """Ray takes a living host for dead and starts another."""
        one = self._one()
        if one is not None:
            self._world.record.fault(f"second copy of {one}", 1.0)
            self._world.start_host(one.name)

    async def _seize(self) -> None:
        one = self._one()
        if one is not None:
            await self._seize_from(one)

    async def _seize_from(self, one: Incarnation) -> None:
        others = [other for other in self._world.running() if other.name != one.name]
        if not others:
            return
        target = self._rng.choice(others)
        self._world.record.fault(f"seize from {one}", 1.0)
        await self._world.placement.seize(self._shards(one.name), one.name, target.name)
        await self._quietly(self._world.adopt(target.name, []))

    async def _move(self) -> None:
        running = self._world.running()
        if len(running) < 2:
            return
        source, target = self._rng.sample(running, 2)
        await self._quietly(self._hand_over(source.name, self._shards(source.name), target.name))

    async def _hand_over(self, source: str, shards: list[int], target: str) -> None:
        if shards:
            keys = await self._world.release(source, shards, target)
            await self._world.adopt(target, keys)

    async def _scale(self) -> None:
        """Add a host, or have one hand everything over and end."""
        world = self._world
        running = world.running()
        if len(world.current) < _HOSTS_MAX and self._rng.random() < 0.6:
            self._next_host += 1
            name = f"host-{self._next_host}"
            await world.placement.want(name, True)
            world.start_host(name)
            world.record.note(f"{name} joins")
        elif len(running) > 1:
            leaving = self._rng.choice(running)
            if world.profile.steward:
                await world.placement.want(leaving.name, False)
                return
            for target in [one for one in running if one is not leaving]:
                await self._quietly(self._hand_over(leaving.name, self._all_of(leaving.name), target.name))
            if leaving.name not in world.store.owners:
                await world.retire(leaving.name)

    def _all_of(self, owner: str) -> list[int]:
        return [shard for shard, name in enumerate(self._world.store.owners) if name == owner]

    async def _curse(self) -> None:
        """The database refuses the data of one entity for a while."""
        weather = self._world.weather
        weather.cursed = self._rng.choice(self._entities)
        weather.ever_cursed.add(weather.cursed)
        duration = self._rng.choice((0.02, 0.3))
        self._world.record.fault(f"curse on {weather.cursed}", duration)
        await asyncio.sleep(duration)
        weather.cursed = ""

    async def _outage(self) -> None:
        duration = self._rng.choice((0.02, 0.3, 2.0))
        self._world.record.fault("store away", duration + 1.0)
        self._world.weather.away_until = self._world.loop.time() + duration

    async def _delete_snapshots(self) -> None:
        self._world.record.note("snapshots deleted")
        for key in list(self._world.store.snapshots):
            if self._rng.random() < 0.7:
                del self._world.store.snapshots[key]

    async def _passivate(self) -> None:
        one = self._one()
        if one is not None:
            keys = [key for key in list(one.host._cells) if self._rng.random() < 0.7]
            await self._quietly(self._world.inside(one, one.host.residents.passivate, keys))

    async def _stale_placement(self) -> None:
        """There and back again: a shard returns before its old owner has looked."""
        running = self._world.running()
        if len(running) < 2:
            return
        first, second = self._rng.sample(running, 2)
        shards = self._shards(first.name)
        await self._quietly(self._hand_over(first.name, shards, second.name))
        await self._quietly(self._hand_over(second.name, shards, first.name))

    async def _quietly(self, work: Awaitable[object]) -> None:
        try:
            await work
        except (HostUnavailableError, TimeoutError, OSError) as error:
            self._world.record.note(f"chaos was refused: {error!r}")

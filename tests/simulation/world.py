"""The cluster of a simulation: host incarnations as processes, the network between them and their clients."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actors.runtime.client import HostUnavailableError
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.entity import EntityKind
from actors.runtime.host import Host
from actors.runtime.wire import Change
from storage.journal.interface import ShardMap
from storage.journal.memory import MemoryJournal
from tests.simulation.loop import Process, VirtualLoop, call_outside, outside
from tests.simulation.profile import Profile
from tests.simulation.record import Published, Record
from tests.simulation.store import SimJournal, SimStore, Weather


class Incarnation:
    """One life of one host."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.process = Process(f"{name}#{number}")
        self.calls: list[asyncio.Future[Any]] = []
        self.ready = False
        self.host: Host
        self.endpoint: HostEndpoint

    def publish(self, record: Record) -> Callable[[str, Sequence[Change]], None]:
        def publish(gateway: str, changes: Sequence[Change]) -> None:
            for change in changes:
                epoch = self.host.lease.epoch
                record.published.append(Published(record.next(), self.name, epoch, gateway, change))

        return publish

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


class _Publisher:
    def __init__(self, publish: Callable[[str, Sequence[Change]], None]) -> None:
        self.publish = publish


class World:
    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        profile: Profile,
        kinds: Mapping[str, EntityKind[Any]],
        *,
        host_class: type[Host] = Host,
        store_class: type[SimStore] = SimStore,
        endpoint_class: type[HostEndpoint] = HostEndpoint,
    ) -> None:
        self.loop = loop
        self.rng = rng
        self.profile = profile
        self.record = Record(loop)
        self.store = store_class(loop, self.record)
        self.weather = Weather(rng, profile, self.record)
        self.current: dict[str, Incarnation] = {}
        self.everyone: list[Incarnation] = []
        self.placement = MemoryJournal(self.store)
        self._kinds = kinds
        self._host_class = host_class
        self._endpoint_class = endpoint_class
        self._lives: dict[str, int] = {}

    # -- lives ------------------------------------------------------------------------------------------------

    def start_host(self, name: str) -> Incarnation:
        """Begin a new incarnation; an older one that still lives becomes a zombie."""
        self._lives[name] = self._lives.get(name, 0) + 1
        one = Incarnation(name, self._lives[name])
        journal = SimJournal(self.store, self.weather)
        one.host = self._host_class(
            name,
            journal=journal,
            placement=journal,
            kinds=self._kinds,
            clock=self.loop,
            limits=self.profile.limits,
            publisher=_Publisher(self.publish(one)),
            on_fenced=lambda: self._fenced(one),
        )
        one.endpoint = self._endpoint_class(one.host)
        self.current[name] = one
        self.everyone.append(one)
        self.loop.spawn(one.process, self._boot(one))
        return one

    def publish(self, one: Incarnation) -> Callable[[str, Sequence[Change]], None]:
        """Where a host's changes go."""
        return one.publish(self.record)

    async def _boot(self, one: Incarnation) -> None:
        while True:
            try:
                await one.host.start()
            except OSError:
                await asyncio.sleep(0.05)
            else:
                one.ready = True
                self.record.note(f"{one} started with epoch {one.host.lease.epoch}")
                return

    def kill(self, one: Incarnation, why: str) -> None:
        if one.process.dead:
            return
        self.record.note(f"{one} dies: {why}")
        self.loop.kill(one.process)
        for call in one.calls:
            call_outside(self.loop, self.rng.choice((0.0, 0.01, 1.0)), _fail, call)
        one.calls.clear()

    def _fenced(self, one: Incarnation) -> None:
        """A fenced host ends its process, and is started again unless that has happened already."""
        self.record.fault("fenced", 1.0)
        self.record.note(f"{one} is fenced")
        call_outside(self.loop, self.rng.choice((0.0, 0.001, 0.2)), self._exit, one)

    def _exit(self, one: Incarnation) -> None:
        self.kill(one, "fenced")
        call_outside(self.loop, self.rng.uniform(0.05, 0.5), self._restart, one)

    def _restart(self, one: Incarnation) -> None:
        if self.current.get(one.name) is one:
            self.start_host(one.name)

    def alive(self) -> list[Incarnation]:
        """The current incarnations that run."""
        return [one for one in self.current.values() if one.ready and not one.process.dead]

    def running(self) -> list[Incarnation]:
        return [one for one in self.alive() if not one.process.frozen]

    def route(self, name: str, known: Incarnation | None = None) -> Incarnation | None:
        """Whom a call to this host reaches. Who `known` a zombie may go on with it, and never goes back."""
        if known is not None and known.ready and not known.process.dead and self.rng.random() < 0.8:
            return known
        one = self.current.get(name)
        return one if one is not None and not one.process.dead else None

    async def inside(self, one: Incarnation, method: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Call into a host's process from outside: raises when it dies meanwhile, waits while it hangs."""
        if one.process.dead or not one.ready:
            raise HostUnavailableError(one.name)
        answer: asyncio.Future[Any] = self.loop.create_future()
        one.calls.append(answer)

        async def run() -> None:
            try:
                result = await method(*args)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(HostUnavailableError(repr(error)))
            else:
                if not answer.done():
                    answer.set_result(result)

        self.loop.spawn(one.process, run())
        try:
            return await answer
        finally:
            if answer in one.calls:
                one.calls.remove(answer)

    # -- the steward's and the chaos' way to move shards -------------------------------------------------------

    async def ensure(self, host: str) -> None:
        if host not in self.current:
            self.start_host(host)

    async def ping(self, host: str) -> None:
        async def pong() -> None: ...

        await asyncio.sleep(self.rng.uniform(0.0005, 0.003))
        one = self.route(host)
        if one is None:
            raise HostUnavailableError(host)
        await self.inside(one, pong)

    async def release(self, host: str, shards: Sequence[int], to: str) -> list[str]:
        one = self.current.get(host)
        if one is None:
            raise HostUnavailableError(host)
        self.record.fault(f"move of {len(shards)} shards from {host} to {to}", 0.2, planned=True)
        async with asyncio.timeout(5.0):
            keys: list[str] = await self.inside(one, one.host.release, shards, to)
        return keys

    async def adopt(self, host: str, keys: Sequence[str]) -> None:
        one = self.current.get(host)
        if one is None:
            raise HostUnavailableError(host)
        async with asyncio.timeout(5.0):
            await self.inside(one, one.host.adopt, keys)

    async def retire(self, host: str) -> None:
        one = self.current.get(host)
        if one is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await self.inside(one, one.host.stop)
        except (HostUnavailableError, TimeoutError):
            self.record.note(f"{one} was not to be stopped")
        self.kill(one, "retired")
        self.current.pop(host, None)


class SimTransport:
    """One client's network: calls are delayed, lost on either way, delivered twice."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._known: dict[str, Incarnation] = {}

    async def exchange(self, host: str, payload: bytes) -> bytes:
        world, weather = self._world, self._world.weather
        one = world.route(host, self._known.get(host))
        if one is None:
            await asyncio.sleep(0.01)
            raise HostUnavailableError(host)
        self._known[host] = one
        await asyncio.sleep(self._delay())
        if weather.hits("lost_request", 0.03):
            return await self._lost(host)
        if weather.hits("duplicate", 0.05):
            again = self._again(one, payload, self._rng.choice((0.0, 0.005, 0.3)))
            world.loop.spawn(None, again)
        raw: bytes = await outside(world.loop, world.inside(one, one.endpoint.exchange, payload))
        await asyncio.sleep(self._delay())
        if weather.hits("lost_reply", 0.03):
            return await self._lost(host)
        return raw

    async def _again(self, one: Incarnation, payload: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await self._world.inside(one, one.endpoint.exchange, payload)
        except HostUnavailableError:
            return

    async def _lost(self, host: str) -> bytes:
        """The connection breaks, which is noticed at once or after a while. (Silence for ever is a host that hangs.)"""
        await asyncio.sleep(self._rng.choice((0.0, 0.01, 1.0)))
        raise HostUnavailableError(host)

    def _delay(self) -> float:
        if "slow_network" in self._world.weather.faults and self._rng.random() < 0.03:
            self._world.record.fault("slow_network", 0.5)
            return self._rng.uniform(0.02, 0.5)
        return self._rng.uniform(0.0001, 0.002)

    async def shard_map(self) -> ShardMap:
        await asyncio.sleep(self._delay())
        if self._world.weather.away() or self._world.weather.hits("read_error", 0.05):
            raise OSError("the database is away")
        return self._world.store.shard_map()


def _fail(call: "asyncio.Future[Any]") -> None:
    if not call.done():
        call.set_exception(HostUnavailableError("the host died"))

"""The runtime without Ray: hosts and a client in one process, for tests and for measuring the core."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from actors.runtime.announcer import Publisher
from actors.runtime.client import EntityClient, HostUnavailableError
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.entity import EntityKind
from actors.runtime.host import Host
from actors.runtime.limits import DEFAULTS, Limits
from actors.runtime.wire import Change
from storage.crypto import KeyRing
from storage.journal.interface import Journal, Placement, ShardMap

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

LOCAL_KEYS: Final = KeyRing.ephemeral()
"""What local runtimes seal with unless told otherwise: known to all of this process, and lost with it."""


class ListPublisher:
    """Keeps what was published, and hands it on when someone listens."""

    def __init__(self) -> None:
        self.published: list[tuple[str, list[Change]]] = []
        self.listener: Callable[[str, Sequence[Change]], None] | None = None

    def publish(self, gateway: str, changes: Sequence[Change]) -> None:
        self.published.append((gateway, list(changes)))
        if self.listener is not None:
            self.listener(gateway, changes)


class LocalTransport:
    def __init__(self, placement: Placement) -> None:
        self.endpoints: dict[str, HostEndpoint] = {}
        self._placement = placement

    async def exchange(self, host: str, payload: bytes) -> bytes:
        endpoint = self.endpoints.get(host)
        if endpoint is None:
            raise HostUnavailableError(host)
        return await endpoint.exchange(payload)

    async def shard_map(self) -> ShardMap:
        return await self._placement.shard_map()


class LocalRuntime:
    """`async with LocalRuntime(journal, placement, kinds) as runtime: await runtime.client.ask(…)`."""

    def __init__(
        self,
        journal: Journal,
        placement: Placement,
        kinds: Mapping[str, EntityKind[Any]],
        *,
        hosts: Sequence[str] = ("host-1",),
        clock: Clock | None = None,
        limits: Limits = DEFAULTS,
        publisher: Publisher | None = None,
        keys: KeyRing = LOCAL_KEYS,
        tracer: "Tracer | None" = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.limits = limits
        self.publisher = publisher or ListPublisher()
        self.placement = placement
        self.transport = LocalTransport(placement)
        self.client = EntityClient("local", self.transport, self.clock, limits, tracer)
        self.hosts: dict[str, Host] = {}
        self._journal = journal
        self._kinds = kinds
        self._names = hosts
        self._keys = keys
        self._tracer = tracer

    async def __aenter__(self) -> Self:
        for name in self._names:
            await self.placement.want(name, True)
        await self.placement.assign_free(list(self._names))
        for name in self._names:
            await self.start_host(name)
        await self.client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        for host in list(self.hosts.values()):
            await host.stop()

    async def start_host(self, name: str) -> Host:
        """Start (or replace) a host: the new incarnation fences the old one."""
        host = Host(
            name,
            journal=self._journal,
            placement=self.placement,
            kinds=self._kinds,
            clock=self.clock,
            limits=self.limits,
            publisher=self.publisher,
            on_fenced=lambda: None,
            keys=self._keys,
            tracer=self._tracer,
        )
        await host.start()
        self.hosts[name] = host
        self.transport.endpoints[name] = HostEndpoint(host, self._tracer)
        return host

"""What runs inside the actor processes: a host and the steward, each with its connections.

Plain classes, known to Ray only through `ray_cluster.py`. They connect at the first call rather than in the
constructor, which cannot await; the steward's pings are that first call, also after a restart.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.kinds import KINDS
from actors.runtime.clock import SystemClock
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.figures import Sample, host_samples, packed
from actors.runtime.garbage import settle_forever
from actors.runtime.host import Host
from actors.runtime.limits import DEFAULTS, Limits
from actors.runtime.publishing import BusPublisher
from actors.runtime.steward import Hosts, Steward
from storage.bus import Bus
from storage.crypto import KeyRing
from storage.data_keys import open_key_ring
from storage.journal.postgres import PostgresJournal
from storage.key_management import Guard, key_service
from storage.key_refresh import refresh_forever
from storage.logs import configure_logging
from storage.sealed_bus import SealedBus
from storage.settings import Settings
from storage.tracing.config import TraceConfig, open_tracer

FENCED_EXIT_CODE = 70
"""A fenced host ends its process: Ray starts the next incarnation, which takes a new epoch."""

FIGURES_SECONDS: Final = 5.0

_encode = msgspec.msgpack.Encoder()


class RuntimeConfig(msgspec.Struct, frozen=True):
    """What every process of the runtime needs to know."""

    database_url: str
    redis_url: str
    limits: Limits = DEFAULTS
    log_dir: str = ""
    keys_dir: str = ""
    keys_refresh_s: float = 60.0
    traces: TraceConfig = TraceConfig()

    async def open_keys(self, guard: Guard = nullcontext) -> KeyRing:
        """The key ring, by the key (or the key management service) of this very process's environment, or by that of
        the file in `keys_dir`. `guard` is put around calls to the service.

        No key travels in here: what actors are given lies in Ray's object store. Raises like `open_key_ring`.
        """
        own = Settings()
        folder = Path(self.keys_dir) if self.keys_dir else None
        return await open_key_ring(self.database_url, folder, own.encryption_key, key_service(own, guard))

    def log_path(self, process: str) -> Path | None:
        """Where `process` logs; None: to standard error."""
        return Path(self.log_dir) / f"{process}.log" if self.log_dir else None


class HostActor:
    """One entity host in its own process."""

    def __init__(self, name: str, config: RuntimeConfig) -> None:
        configure_logging(config.log_path(name), service=f"host:{name}")
        self._name = name
        self._config = config
        self._tracer = open_tracer(config.traces, f"host:{name}")
        self._starting: asyncio.Task[None] | None = None
        self._figures = b""
        self._figures_at = -FIGURES_SECONDS
        self._host: Host
        self._endpoint: HostEndpoint
        self._settling: asyncio.Task[None]
        self._refreshing: asyncio.Task[None]

    async def exchange(self, payload: bytes) -> bytes:
        await self._ready()
        return await self._endpoint.exchange(payload)

    async def ping(self) -> None:
        await self._ready()

    async def status(self) -> bytes:
        """msgpack of `HostStatus` and the process id."""
        await self._ready()
        return _encode.encode((self._host.status(), os.getpid()))

    async def figures(self) -> bytes:
        """msgpack of `Sample`s. Taken at most every `FIGURES_SECONDS`, however many gateways ask."""
        await self._ready()
        now = asyncio.get_running_loop().time()
        if now - self._figures_at >= FIGURES_SECONDS:
            self._figures, self._figures_at = packed(await host_samples(self._host)), now
        return self._figures

    async def release(self, shards: Sequence[int], to: str) -> list[str]:
        await self._ready()
        return await self._host.release(shards, to)

    async def adopt(self, keys: Sequence[str]) -> None:
        await self._ready()
        await self._host.adopt(keys)

    async def stop(self) -> None:
        """Commit, snapshot, close. The actor is killed afterwards."""
        if self._starting is not None:
            await self._ready()
            await self._host.stop()

    async def _ready(self) -> None:
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._starting = None  # the database was away: try again with the next call
            raise

    async def _start(self) -> None:
        """One attempt. One that fails leaves no connection behind: while Postgres is away there are many."""
        config = self._config
        async with AsyncExitStack() as opened:
            journal = await opened.enter_async_context(PostgresJournal(config.database_url))
            bus = await opened.enter_async_context(await Bus.connect(config.redis_url))
            keys = await config.open_keys()
            self._host = Host(
                self._name,
                journal=journal,
                placement=journal,
                kinds=KINDS,
                clock=SystemClock(),
                limits=config.limits,
                publisher=BusPublisher(SealedBus(bus, keys)),
                on_fenced=lambda: os._exit(FENCED_EXIT_CODE),
                keys=keys,
                tracer=self._tracer,
            )
            await self._host.start()
            opened.pop_all()
        loop = asyncio.get_running_loop()
        self._settling = loop.create_task(settle_forever())
        self._refreshing = loop.create_task(refresh_forever(keys, config.keys_refresh_s))
        self._endpoint = HostEndpoint(self._host, self._tracer)


class StewardActor:
    """The steward in its own process; `reach` gives it its way to the hosts."""

    def __init__(self, config: RuntimeConfig, reach: Callable[[RuntimeConfig], Hosts]) -> None:
        configure_logging(config.log_path("steward"), service="steward")
        self._config = config
        self._reach = reach
        self._tending: asyncio.Task[None] | None = None
        self._placement: Any = None
        self._steward: Steward

    async def begin(self) -> None:
        """Start tending; repeated calls do nothing."""
        if self._tending is None:
            self._placement = await PostgresJournal(self._config.database_url).open()
            self._steward = Steward(self._placement, self._reach(self._config), self._config.limits)
            self._tending = asyncio.get_running_loop().create_task(self._steward.tend_forever())

    async def figures(self) -> bytes:
        """msgpack of `Sample`s. Only once it has begun."""
        steward = self._steward
        counts = {"moved": steward.moved, "seized": steward.seized}
        samples = [Sample(f"atrium_steward_shards_{what}", (), count) for what, count in counts.items()]
        return packed([*samples, Sample("atrium_steward_rounds_failed", (), steward.failed)])

"""The one module that calls Ray for the runtime: actors by name, calls with a timeout, start and stop.

Entity hosts are plain named detached actors: Ray restarts a dead one under its name, and retries nothing
(`max_task_retries=0`), because only the runtime knows what is safe to repeat. Ray's word on who is alive
counts for nothing here: Postgres fences.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import ray
import structlog
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from actors.runtime.client import EntityClient, HostUnavailableError
from actors.runtime.clock import SystemClock
from actors.runtime.figures import Sample, unpacked
from actors.runtime.host_actor import HostActor, RuntimeConfig, StewardActor
from actors.runtime.status import HostStatus
from storage.journal.interface import ShardMap
from storage.journal.postgres import PostgresJournal

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()

NAMESPACE = "atrium"
STEWARD = "steward"
CALLS_MAX = 10_000
"""Calls an actor takes up at once: far above what coalescing gateways send, so that none waits behind another."""

_START_SECONDS_MAX = 60
_STOP_SECONDS_MAX = 20
_ASK_AGAIN_SECONDS = 0.2


def init_ray(
    address: str | None, *, dashboard_port: int | None = None, temp_dir: str | None = None, cpus: int | None = None
) -> str:
    """Start a local cluster, or join the one at `address`; returns the address of its GCS."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    # Ray gives its workers the lowest priority, for batch work. Ours are the service.
    os.environ.setdefault("RAY_worker_niceness", "0")
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "configure_logging": False}
    if address is None:
        options |= {"include_dashboard": dashboard_port is not None, "num_cpus": cpus or max(4, os.cpu_count() or 4)}
        options |= {"dashboard_port": dashboard_port} if dashboard_port else {}
        options |= {"_temp_dir": temp_dir} if temp_dir else {}
    context = ray.init(address=address, **options)
    return str(context.address_info["gcs_address"])


def shutdown_ray() -> None:
    ray.shutdown()


class Handles:
    """Actor handles by name. A handle outlives restarts of its actor, not its replacement."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def get(self, name: str) -> Any:
        handle = self._handles.get(name)
        if handle is None:
            try:
                handle = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
            except ValueError as error:
                raise HostUnavailableError(name) from error
            self._handles[name] = handle
        return handle

    async def call(self, name: str, method: str, *args: Any) -> Any:
        """Call and wait. Raises `HostUnavailableError` when no answer will come; the call may have been executed."""
        handle = await self.get(name)
        try:
            return await getattr(handle, method).remote(*args)
        except RayActorError as error:
            self._handles.pop(name, None)
            raise HostUnavailableError(name) from error
        except RayError as error:
            raise HostUnavailableError(name) from error


class RayTransport:
    """Exchanges with hosts over Ray; the shard map comes straight from Postgres."""

    def __init__(self, journal: PostgresJournal) -> None:
        self._journal = journal
        self._handles = Handles()

    async def exchange(self, host: str, payload: bytes) -> bytes:
        answer: bytes = await self._handles.call(host, "exchange", payload)
        return answer

    async def shard_map(self) -> ShardMap:
        return await self._journal.shard_map()


class RayHosts:
    """The steward's way to the hosts."""

    def __init__(self, config: RuntimeConfig) -> None:
        self._config = config
        self._handles = Handles()

    async def ensure(self, host: str) -> None:
        await asyncio.to_thread(_create, host, HostActor, host, self._config)

    async def ping(self, host: str) -> None:
        await self._handles.call(host, "ping")

    async def release(self, host: str, shards: Sequence[int], to: str) -> list[str]:
        keys: list[str] = await self._handles.call(host, "release", list(shards), to)
        return keys

    async def adopt(self, host: str, keys: Sequence[str]) -> None:
        await self._handles.call(host, "adopt", list(keys))

    async def retire(self, host: str) -> None:
        try:
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await self._handles.call(host, "stop")
        except (HostUnavailableError, TimeoutError) as error:
            log.info("host_not_drained", host=host, error=type(error).__name__)
        await asyncio.to_thread(_kill, host)


def _create(name: str, cls: type, *args: Any) -> Any:
    """The named actor, started if it does not exist."""
    return (
        ray.remote(cls)
        .options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=CALLS_MAX,
            num_cpus=0,
        )
        .remote(*args)
    )


def _kill(name: str) -> None:
    try:
        ray.kill(ray.get_actor(name, NAMESPACE), no_restart=True)
    except ValueError:
        return


class Service:
    """`cls(*args)` as an actor that begins by itself: Ray restarts a dead process, but calls nothing in it."""

    async def __init__(self, cls: type, *args: Any) -> None:  # type: ignore[misc]  # Ray awaits it, as Serve's actors do
        self._service = cls(*args)
        self._beginning = asyncio.get_running_loop().create_task(self._begin())

    async def begin(self) -> int:
        """Returns when the service runs, with its process id."""
        await asyncio.shield(self._beginning)
        return os.getpid()

    async def figures(self) -> bytes:
        """What the service says of itself, once it has begun: msgpack of `Sample`s."""
        await self.begin()
        figures: bytes = await self._service.figures()
        return figures

    async def _begin(self) -> None:
        while True:
            try:
                await self._service.begin()
            except Exception as error:
                log.warning("service_not_begun", error=repr(error))
                await asyncio.sleep(_ASK_AGAIN_SECONDS * 5)
            else:
                return


async def service_pid(name: str) -> int:
    """The process id of a running service. Raises `HostUnavailableError`."""
    pid: int = await Handles().call(name, "begin")
    return pid


async def start_service(name: str, cls: type, *args: Any) -> None:
    """Run `cls(*args)` as a named actor that Ray restarts, and wait until it has begun."""
    handle = await asyncio.to_thread(_create, name, Service, cls, *args)
    await asyncio.wait_for(handle.begin.remote(), _START_SECONDS_MAX)


async def start_runtime(config: RuntimeConfig, hosts: int) -> list[str]:
    """Start the steward and `hosts` hosts; returns their names once every shard has an owner that answers."""
    journal = await PostgresJournal(config.database_url).open()
    try:
        known = {record.name for record in await journal.hosts() if record.wanted}
        for name in [f"host-{number}" for number in range(1, hosts + 1)]:
            known.add(name)
            await journal.want(name, True)
        for name in known:
            await asyncio.to_thread(_create, name, HostActor, name, config)
        handles = Handles()
        async with asyncio.timeout(_START_SECONDS_MAX):
            await asyncio.gather(*(handles.call(name, "ping") for name in known))
        await journal.assign_free(sorted(known))
        await start_service(STEWARD, StewardActor, config, RayHosts)
        return sorted(known)
    finally:
        await journal.close()


async def stop_runtime(services: Sequence[str] = ()) -> None:
    """End services and the steward, then let the hosts commit and snapshot, then end them.

    Without a connection to Ray there is nothing to do: its functions would look for a cluster to join, for ever.
    """
    if not ray.is_initialized():
        return
    for name in (*services, STEWARD):
        await asyncio.to_thread(_kill, name)
    names = [entry["name"] for entry in ray.util.list_named_actors(all_namespaces=True) if _is_ours(entry)]
    handles = Handles()
    stops = [handles.call(name, "stop") for name in names]
    try:
        async with asyncio.timeout(_STOP_SECONDS_MAX):
            await asyncio.gather(*stops, return_exceptions=True)
    except TimeoutError:
        log.warning("hosts_not_drained", hosts=names)
    for name in names:
        await asyncio.to_thread(_kill, name)


def _is_ours(entry: dict[str, str]) -> bool:
    return entry["namespace"] == NAMESPACE and entry["name"].startswith("host-")


async def connect_client(config: RuntimeConfig, name: str, tracer: "Tracer | None" = None) -> EntityClient:
    """A client in this process, which must be connected to Ray."""
    journal = await PostgresJournal(config.database_url).open()
    client = EntityClient(name, RayTransport(journal), SystemClock(), config.limits, tracer)
    await client.start()
    return client


class RayFigures:
    """Figures of a process of the runtime by its actor's name. Raises `HostUnavailableError`."""

    def __init__(self) -> None:
        self._handles = Handles()

    async def of(self, process: str) -> list[Sample]:
        return unpacked(await self._handles.call(process, "figures"))


class HostReport(msgspec.Struct, frozen=True):
    """A host's figures and its process id; `status` None: it did not answer."""

    name: str
    pid: int
    status: HostStatus | None


async def host_reports(config: RuntimeConfig, timeout_s: float = 3.0) -> list[HostReport]:
    """Figures of every registered host."""
    journal = await PostgresJournal(config.database_url).open()
    try:
        names = [record.name for record in await journal.hosts()]
    finally:
        await journal.close()
    handles = Handles()

    async def one(name: str) -> HostReport:
        try:
            raw = await asyncio.wait_for(handles.call(name, "status"), timeout_s)
        except (HostUnavailableError, TimeoutError, GetTimeoutError):
            return HostReport(name, 0, None)
        status, pid = msgspec.msgpack.decode(raw, type=tuple[HostStatus, int])
        return HostReport(name, pid, status)

    return list(await asyncio.gather(*(one(name) for name in names)))


async def add_host(config: RuntimeConfig) -> str:
    """Register one more host; the steward starts it and evens out the shards."""
    journal = await PostgresJournal(config.database_url).open()
    try:
        taken = {record.name for record in await journal.hosts()}
        name = next(f"host-{number}" for number in range(1, len(taken) + 2) if f"host-{number}" not in taken)
        await journal.want(name, True)
    finally:
        await journal.close()
    return name


async def remove_host(config: RuntimeConfig, name: str, timeout_s: float = 60.0) -> None:
    """Have a host hand over its shards warm and end; returns when it is gone. Raises `TimeoutError`."""
    journal = await PostgresJournal(config.database_url).open()
    try:
        await journal.want(name, False)
        async with asyncio.timeout(timeout_s):
            while any(record.name == name for record in await journal.hosts()):  # noqa: ASYNC110 - Postgres knows, not a local event
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
    finally:
        await journal.close()

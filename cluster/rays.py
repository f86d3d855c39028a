"""What of a stack runs on Ray: entity hosts, reactor, gateways. Import it only after `ingress.prepare`.

The calls themselves are in `actors/runtime/ray_cluster.py` and `serve/deployment.py`; here they are put in order.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Final

import msgspec
import psutil
import structlog
from ray import serve

from actors.runtime import ray_cluster
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.ray_cluster import HostReport
from cluster.datadir import DataDir
from cluster.errors import ClusterError
from jobs.reactor import REACTOR, Reactor
from serve.assembly import GatewayConfig
from serve.deployment import gateway_application
from storage.settings import Settings
from storage.tracing.config import trace_config_of

log = structlog.get_logger("cluster.rays")

APPLICATION: Final = "atrium"
CONNECT_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle client may keep its connection."""


class Plan(msgspec.Struct, frozen=True):
    """What the parts on Ray are told."""

    settings: Settings
    runtime: RuntimeConfig


def plan(settings: Settings, data: DataDir, database_url: str, redis_url: str) -> Plan:
    """The same for a start, and for commands that look at what another process started."""
    runtime = RuntimeConfig(
        database_url,
        redis_url,
        log_dir=str(data.logs),
        keys_dir=str(data.keys),
        traces=trace_config_of(settings),
        keys_refresh_s=settings.encryption_keys_refresh_s,
    )
    return Plan(settings, runtime)


def start_ray(settings: Settings, dashboard_port: int | None, temp_dir: str) -> str:
    """Start a cluster in this process's care, or join the one named in the settings. Returns its address."""
    if settings.ray_address is not None:
        _require_answer(settings.ray_address)
    with _ray_errors("Ray did not start"):
        address = ray_cluster.init_ray(settings.ray_address, dashboard_port=dashboard_port, temp_dir=temp_dir)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return address


def _require_answer(address: str) -> None:
    """Ray itself would try for more than a minute. Raises `ClusterError` for a host and port that nobody listens on."""
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdigit():
        return  # "auto", or a client address: Ray knows better
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(f"no Ray answers at {address}: {error}") from error


def join_ray(address: str) -> None:
    """Connect this process to a running stack's Ray."""
    with _ray_errors(f"Ray at {address} cannot be joined"):
        ray_cluster.init_ray(address)


def start_hosts(plan: Plan) -> None:
    """Hosts and reactor; returns when every shard has an owner that answers."""
    with _ray_errors("the entity hosts did not start"):
        asyncio.run(ray_cluster.start_runtime(plan.runtime, plan.settings.entity_hosts))
        asyncio.run(ray_cluster.start_service(REACTOR, Reactor, plan.runtime, plan.settings))


def start_gateways(plan: Plan) -> None:
    """Serve's ingress and the gateways behind it."""
    settings = plan.settings
    with _ray_errors("the gateways did not start"):
        serve.start(
            http_options={"host": settings.host, "port": settings.port, "keep_alive_timeout_s": KEEP_ALIVE_SECONDS}
        )
        application = gateway_application(
            GatewayConfig(runtime=plan.runtime, settings=settings), replicas=settings.gateway_replicas
        )
        serve.run(application, name=APPLICATION, route_prefix="/", blocking=False)


def reports(plan: Plan) -> list[HostReport]:
    """Figures of the hosts."""
    return asyncio.run(ray_cluster.host_reports(plan.runtime))


def hosts(plan: Plan) -> list[tuple[str, int]]:
    """(name, pid) of the hosts that answer."""
    return [(report.name, report.pid) for report in reports(plan) if report.status is not None]


def local_hosts(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those of them that are Ray actors on this machine: a pid of another machine means nothing here."""
    local = []
    for name, pid in found:
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).cmdline()[:1] and psutil.Process(pid).cmdline()[0].startswith("ray::"):
                local.append((name, pid))
    return local


def stop_gateways(settings: Settings) -> None:
    """End Serve, or on a cluster that is not ours, only our application."""
    if settings.ray_address is None:
        serve.shutdown()
    else:
        serve.delete(APPLICATION)


def stop_hosts() -> None:
    asyncio.run(ray_cluster.stop_runtime((REACTOR,)))


def stop_ray() -> None:
    ray_cluster.shutdown_ray()


@contextlib.contextmanager
def _ray_errors(what: str) -> Iterator[None]:
    """The last line of Ray's long messages as a `ClusterError`; the whole of it goes to the log."""
    try:
        yield
    except (RuntimeError, OSError, TimeoutError, ValueError) as error:
        log.exception("ray_failed")
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else type(error).__name__
        raise ClusterError(f"{what}: {reason} (logs/up.log has more)") from error

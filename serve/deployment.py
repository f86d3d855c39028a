"""The gateway on Ray Serve.

The replica is a plain class, and Serve's wrapper is put around it only in `gateway_application`: a class
decorated in place would be pickled by value with all its module's globals.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from ray import serve as ray_serve

from actors.runtime.garbage import settle_forever
from actors.runtime.ray_cluster import RayFigures, connect_client
from domain.ids import new_id
from realtime.limits import DEFAULTS as REALTIME
from serve.app import create_app
from serve.assembly import GatewayConfig, open_gateway
from serve.drain import DrainWatcher
from serve.gateway import GatewayRuntime
from serve.limits import DEFAULTS as GATEWAY
from storage.logs import configure_logging
from storage.tracing.config import open_tracer

DEPLOYMENT: Final = "Gateway"
ONGOING_REQUESTS_MAX: Final = 12_500
"""A socket holds one for life. Above the hub's own limit on sockets plus the requests in flight: those refuse
with an answer, while Serve would let the next one wait."""
QUEUED_REQUESTS_MAX: Final = 200
SHUTDOWN_SECONDS: Final = 30
HEALTH_CHECK_SECONDS: Final = 1.0
"""A gateway that was killed is noticed at the next check; Serve's own default is ten seconds."""

_refusing = REALTIME.connections_max + GATEWAY.requests_in_flight_max
assert _refusing < ONGOING_REQUESTS_MAX  # noqa: S101 - our own limits answer before Serve's are reached


class GatewayReplica:
    """One gateway process."""

    def __init__(self, config: GatewayConfig) -> None:
        configure_logging(config.runtime.log_path("gateway"), service="gateway")
        self._config = config

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Serve calls this once, on the replica's own loop, before it takes requests."""
        config, gateway_id = self._config, f"gateway-{new_id()}"
        parts = AsyncExitStack()
        tracer = open_tracer(config.runtime.traces, "gateway")
        if tracer is not None:
            parts.push_async_callback(asyncio.to_thread, tracer.close)
        client = await connect_client(config.runtime, gateway_id, tracer)
        runtime = await parts.enter_async_context(open_gateway(config, gateway_id, client, tracer, RayFigures()))
        watcher = DrainWatcher(lambda: _drain(runtime), poll_seconds=config.limits.drain_poll_seconds)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(watcher.watch()), loop.create_task(settle_forever(lambda: _ended(runtime)))]

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield
            for task in tasks:
                task.cancel()
            await parts.aclose()

        return create_app(config.nouns, runtime, lifespan=lifespan, port_seen=watcher.port_seen)


def gateway_application(config: GatewayConfig, *, replicas: int = 1) -> Any:
    """The Serve application, for `serve.run(…, name="atrium", route_prefix="/")`."""
    ingress = ray_serve.ingress()(GatewayReplica)
    deployment = ray_serve.deployment(
        ingress,
        name=DEPLOYMENT,
        num_replicas=replicas,
        max_ongoing_requests=ONGOING_REQUESTS_MAX,
        max_queued_requests=QUEUED_REQUESTS_MAX,
        graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
        health_check_period_s=HEALTH_CHECK_SECONDS,
        ray_actor_options={"num_cpus": 0},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    return deployment.bind(config)


async def _drain(runtime: GatewayRuntime) -> None:
    runtime.health.draining = True
    if runtime.live is not None:
        await runtime.live.drain()


def _ended(runtime: GatewayRuntime) -> int:
    return 0 if runtime.live is None else runtime.live.let_go

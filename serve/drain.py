"""Noticing that this replica is being drained.

Serve has no hook for it in user code, but the replica's own health path answers 503 `DRAINING` from the moment
it begins. So the replica asks itself, on the port on which its first request came in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import httpx
import structlog

log = structlog.get_logger("serve.drain")

Probe = Callable[[int], Awaitable[bool]]
"""Whether the replica on this port is draining. Raises `OSError` or `httpx.HTTPError` when it does not answer."""


async def healthz_says_draining(port: int) -> bool:
    # Plain HTTP to ourselves: no certificates to load, which would take longer than everything else here.
    async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=False) as client:  # noqa: S501 - loopback
        answer = await client.get(f"http://127.0.0.1:{port}/-/healthz")
    return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "DRAINING" in answer.text


class DrainWatcher:
    """Calls `on_drain` once, when the drain begins. `port_seen` tells it where to ask."""

    def __init__(
        self,
        on_drain: Callable[[], Awaitable[None]],
        *,
        poll_seconds: float,
        probe: Probe = healthz_says_draining,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._on_drain = on_drain
        self._poll_seconds = poll_seconds
        self._probe = probe
        self._sleep = sleep
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def port_seen(self, port: int) -> None:
        if not self._port.done():
            self._port.set_result(port)

    async def watch(self) -> None:
        """Returns when the drain has been carried out."""
        port = await self._port
        while True:
            await self._sleep(self._poll_seconds)
            try:
                if await self._probe(port):
                    break
            except (OSError, httpx.HTTPError) as error:
                log.debug("healthz_unanswered", error=type(error).__name__)
        log.info("drain_began")
        await self._on_drain()

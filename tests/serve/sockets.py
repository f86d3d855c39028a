"""A clinic whose gateway takes sockets, on a free port of this machine."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from realtime.client.backoff import FullJitter
from realtime.client.live import LiveClient
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.services import Services
from serve.live.adapters import TokenAuthenticator
from tests.conditions import until
from tests.realtime.serving import LocalBus
from tests.serve.clinic import CLINIC
from tests.serve.house import House
from tests.serve.test_rooms import Clinic


class Tablets:
    """A clinic whose gateway takes sockets."""

    def __init__(self, clinic: Clinic, port: int) -> None:
        self.clinic = clinic
        self.port = port
        self.group = f"location/{clinic.location}/rooms"
        self.ent = f"room/{clinic.room}"

    def url(self, location: str = "", path: str = "/api/v1/treatments/room-status") -> str:
        return f"ws://127.0.0.1:{self.port}{path}?location={location or self.clinic.location}"

    def client(self, subject: str, *roles: str, **options: Any) -> LiveClient:
        organization, url = options.pop("organization", CLINIC), options.pop("url", self.url())
        token = self.clinic.house.tokens.issue(subject, roles or ("provider",), (organization,))
        return LiveClient(url, token, backoff=FullJitter(0.02, 0.1, random.Random(1)), **options)

    async def server_state(self) -> Any:
        seen = await self.clinic.send("GET", f"/rooms/{self.clinic.room}", self.clinic.desk)
        return seen.json()


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started, "the server listens")
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def live_clinic(house: House, **more: Any) -> AsyncIterator[tuple[Clinic, int]]:
    """The clinic and its port. `more` are services beside hub, commands, logins and clock, or instead of them."""
    gateway = house.gateway
    ours: dict[str, Any] = {
        "hub": Hub(gateway.gateway_id, house.local.client, LocalBus(house.local.publisher), gateway.groups),
        "port": gateway.device_commands,
        "authenticator": TokenAuthenticator(gateway.tokens),
        "wall": house.clock.now_ms,
    }
    gateway.live = Gateway(Services(**(ours | more)))
    clinic = await Clinic(house).open()
    await gateway.live.start()
    try:
        async with listening(house.app) as port:
            yield clinic, port
    finally:
        await gateway.live.stop()

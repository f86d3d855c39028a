"""A gateway behind a real HTTP server on a free port, with real entities on the local runtime."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from starlette.types import Receive, Scope, Send

from actors.runtime.entity import Actor
from actors.runtime.local import ListPublisher, LocalRuntime
from actors.runtime.wire import VIEW_NONE, Change
from domain.errors import NotFound
from realtime.channels import live
from realtime.endpoint import serve_socket
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.limits import DEFAULTS, Limits
from realtime.services import Services
from services.entities import Answered, Sender, send
from storage.journal.memory import MemoryJournal, MemoryStore
from tests.actors.runtime.counter import KINDS, Add, Explode, Join, Point
from tests.conditions import until
from tests.realtime.fakes import Logins

COMMANDS: Mapping[str, type] = {"add": Add, "explode": Explode, "join": Join}


class LocalBus:
    """Between the hosts' publisher and the hub, by way of the wire's encoding. `deaf` loses messages."""

    def __init__(self, publisher: ListPublisher) -> None:
        self.deaf = False
        self._on_message: Callable[[bytes], None] | None = None
        publisher.listener = self._publish

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._on_message = on_message

    def _publish(self, gateway: str, changes: Sequence[Change]) -> None:
        if self._on_message is not None and not self.deaf:
            self._on_message(msgspec.msgpack.encode(list(changes)))


class Counters:
    """Commands and groups for the tests' counters."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.grouped: dict[str, list[tuple[str, str]]] = {}

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        kind, _, id_ = ent.partition("/")
        command = msgspec.convert(args, COMMANDS[op])
        if isinstance(command, Join):
            self.grouped.setdefault(command.group, []).append((kind, id_))
        return await send(self.runtime.client, kind, id_, sender, command, VIEW_NONE)

    def clinical(self, ent: str, op: str) -> bool:
        return False

    async def signal(self, actor: Actor, ent: str, name: str, args: dict[str, Any], device: str) -> None:
        kind, _, id_ = ent.partition("/")
        await self.runtime.client.ask(kind, id_, Point(args["x"]), actor=actor, device=device)

    async def members(self, group: str, actor: Actor, *, again: bool = False) -> Sequence[tuple[str, str]]:
        if group.split("/")[1] != actor.subject:
            raise NotFound("there is no such group")
        return self.grouped.get(group, [])


class Served:
    def __init__(self, runtime: LocalRuntime, gateway: Gateway, bus: LocalBus, logins: Logins) -> None:
        self.runtime = runtime
        self.gateway = gateway
        self.bus = bus
        self.logins = logins
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/live"

    async def listen(self) -> None:
        """Start the server, again on the same port when it ran before."""
        config = uvicorn.Config(
            self._live,
            interface="asgi3",
            log_level="critical",
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listener]))
        await until(lambda: self._server is not None and self._server.started, "the server listens")

    async def hush(self) -> None:
        """Stop the server; its sockets are closed."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    async def _live(self, asgi: Scope, receive: Receive, send: Send) -> None:
        await serve_socket(asgi, receive, send, self.gateway, live(frozenset({"counter"})))


@asynccontextmanager
async def served(limits: Limits = DEFAULTS) -> AsyncIterator[Served]:
    journal = MemoryJournal(MemoryStore())
    publisher = ListPublisher()
    async with LocalRuntime(journal, journal, KINDS, publisher=publisher) as runtime:
        bus, counters, logins = LocalBus(publisher), Counters(runtime), Logins()
        hub = Hub("gw", runtime.client, bus, counters, limits=limits)
        gateway = Gateway(Services(hub=hub, port=counters, authenticator=logins, limits=limits))
        await gateway.start()
        house = Served(runtime, gateway, bus, logins)
        await house.listen()
        try:
            yield house
        finally:
            await gateway.stop()
            await house.hush()

"""Between tablets and gateways: connections that are slow, break, fall silent, and say things twice.

Within one direction of one connection frames keep their order; connections overtake each other. What was under way
when a connection broke may still arrive, long after the next connection has begun.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from realtime.channels import Scope
from tests.simulation.loop import call_outside

if TYPE_CHECKING:
    from tests.simulation.tablets.gateways import Node
    from tests.simulation.tablets.town import Town

_END = object()
_KEEPALIVE_S = 4.0
"""Within this a client finds out that the other side is silent."""


class Direction:
    """One way of a connection. `silent`: what is sent now goes nowhere, and neither does what is under way."""

    def __init__(self, town: "Town") -> None:
        self._town = town
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._last = 0.0
        self.silent = False
        self.closed = False

    def put(self, item: Any, delay: float) -> None:
        if self.closed:
            return
        at = max(self._last + 1e-6, self._town.loop.time() + delay)
        self._last = at
        call_outside(self._town.loop, at - self._town.loop.time(), self._arrive, item)

    def end(self, delay: float = 0.0) -> None:
        """After what is under way."""
        self.put(_END, delay)
        self.closed = True

    def cut(self) -> None:
        """At once: what is under way is lost."""
        self.closed = self.silent = True
        self._inbox.put_nowait(_END)

    def _arrive(self, item: Any) -> None:
        if not self.silent:
            self._inbox.put_nowait(item)

    async def take(self) -> Any:
        return await self._inbox.get()


class Connection:
    """Of one tablet to one gateway. `upward` is the way to the gateway."""

    def __init__(self, town: "Town", label: str, node: "Node") -> None:
        self.town = town
        self.label = label
        self.node = node
        self.upward = Direction(town)
        self.downward = Direction(town)
        self.over = False

    def reset(self) -> None:
        """The tablet notices at once, the gateway later; what the tablet has sent may still arrive."""
        self.over = True
        self.downward.cut()
        self._leave_upward()

    def fall_silent(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self.over = True
        self.upward.silent = self.downward.silent = True
        rng = self.town.rng
        call_outside(self.town.loop, rng.uniform(0.5, 1.0) * _KEEPALIVE_S, self.downward.cut)
        if rng.random() < 0.5:
            call_outside(self.town.loop, rng.uniform(1.0, 12.0), self.upward.cut)

    def abandoned(self) -> None:
        """The gateway is gone, or does not move."""
        self.over = True
        self.upward.silent = True
        delay = self.town.rng.choice((0.0, 0.01, self.town.rng.uniform(0.5, 1.0) * _KEEPALIVE_S))
        call_outside(self.town.loop, delay, self.downward.cut)

    def hung(self) -> None:
        """The gateway does not move: the tablet gives up, and the gateway reads what was sent when it goes on."""
        self.over = True
        call_outside(self.town.loop, self.town.rng.uniform(0.5, 1.0) * _KEEPALIVE_S, self.downward.cut)
        self.upward.end(_KEEPALIVE_S)

    def left(self) -> None:
        """The tablet's program is gone."""
        if not self.over:
            self.over = True
            self.downward.silent = True
            self._leave_upward()

    def _leave_upward(self) -> None:
        rng = self.town.rng
        if rng.random() < 0.8:
            self.upward.end(rng.choice((0.0, 0.2, rng.uniform(0.5, 4.0))))


class ServerSocket:
    """`realtime.ports.Socket`: the gateway's end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes | None:
        item = await self._connection.upward.take()
        return None if item is _END else item

    async def send(self, frame: bytes) -> None:
        connection = self._connection
        await asyncio.sleep(0)
        if connection.upward.closed and connection.upward.silent:
            raise ConnectionError("gone")
        connection.town.network.carry(connection, connection.downward, frame.decode())

    async def close(self, code: int, reason: str) -> None:
        connection = self._connection
        connection.downward.put(Close(code, reason), connection.town.network.delay())
        connection.downward.closed = True


class ClientSocket:
    """The tablet's end, with the part of websockets' connection that a link uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.close_code: int | None = None

    async def send(self, frame: str | bytes) -> None:
        connection = self._connection
        await asyncio.sleep(0)
        if connection.over:
            raise ConnectionClosedError(None, None)
        connection.town.network.carry(connection, connection.upward, frame)

    def __aiter__(self) -> "ClientSocket":
        return self

    async def __anext__(self) -> str | bytes:
        item = await self._connection.downward.take()
        if isinstance(item, Close):
            self._connection.over = True
            raise ConnectionClosedError(item, None)
        if item is _END:
            self._connection.over = True
            raise ConnectionClosedError(None, None)
        return item

    def close(self) -> None:
        self._connection.left()


class Network:
    def __init__(self, town: "Town") -> None:
        self._town = town
        self._rng = town.rng
        self.connections: list[Connection] = []
        self.out_of_reach: dict[str, float] = {}
        """Tablet → until when it has no network."""

    def reachable(self, label: str) -> bool:
        return self.out_of_reach.get(label, 0.0) <= self._town.loop.time()

    def live(self) -> list[Connection]:
        self.connections = [one for one in self.connections if not one.over]
        return self.connections

    async def connect(self, label: str, scope: Scope) -> ClientSocket:
        """Raises `OSError` without network or gateway."""
        await asyncio.sleep(self.delay())
        nodes = self._town.open_nodes()
        if not self.reachable(label) or not nodes:
            raise OSError("no way there")
        node = self._rng.choice(nodes)
        connection = Connection(self._town, label, node)
        self.connections.append(connection)
        node.accept(ServerSocket(connection), scope)
        await asyncio.sleep(self.delay())
        return ClientSocket(connection)

    def lose(self, label: str, *, silently: bool) -> None:
        """The tablet's connections break."""
        for one in self.live():
            if one.label == label:
                one.fall_silent() if silently else one.reset()

    def carry(self, connection: Connection, direction: Direction, frame: str | bytes) -> None:
        town = self._town
        if town.hits("garbled", 0.002):
            frame = "{"
        direction.put(frame, self.delay())
        if town.hits("frames_twice", 0.04):
            direction.put(frame, self.delay())
        if town.hits("offline", 0.006):
            town.record.note(f"{connection.label} is cut off in the middle")
            connection.reset()

    def delay(self) -> float:
        if self._town.hits("slow_frames", 0.04):
            return self._rng.choice((0.05, 0.3, 1.5))
        return self._rng.uniform(0.001, 0.02)

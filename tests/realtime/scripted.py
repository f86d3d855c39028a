"""A server that says what a test tells it to say, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from realtime.client.backoff import FullJitter

Frame = dict[str, Any]
SOON_S = 5.0


def quick() -> FullJitter:
    """Pauses too short to wait for."""
    return FullJitter(0.001, 0.01)


class Line:
    """One connection of a client."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    async def read(self) -> None:
        async for data in self.socket:
            self.frames.put_nowait(json.loads(data))

    async def hear(self, kind: str) -> Frame:
        """The next frame of this type; others are passed over."""
        async with asyncio.timeout(SOON_S):
            while True:
                frame = await self.frames.get()
                if frame["t"] == kind:
                    return frame

    async def say(self, *frames: Frame) -> None:
        for frame in frames:
            await self.socket.send(json.dumps(frame))

    async def welcome(self, last_seq: int | None = None, session: str = "", **more: Any) -> Frame:
        """Hear the hello and answer it."""
        hello = await self.hear("hello")
        counted = hello["first_unacked"] - 1 if last_seq is None else last_seq
        await self.say({"t": "welcome", "v": 1, "conn_id": "c", "last_seq": counted, "session": session, **more})
        return hello

    async def snapshot(self, channel: str, states: dict[str, tuple[int, Any]], **more: Any) -> None:
        entities = [{"ent": ent, "ver": ver, "state": state} for ent, (ver, state) in states.items()]
        await self.say(
            {"t": "subscribed", "ch": channel},
            {"t": "snapshot", "ch": channel, "part": 0, "last": True, "entities": entities, **more},
        )

    async def result(self, command: Frame, status: str = "applied", **more: Any) -> None:
        about = {"epoch": command["epoch"], "seq": command["seq"], "ent": command["ent"]}
        await self.say({"t": "result", "status": status, **about, **more})

    async def close(self, code: int) -> None:
        await self.socket.close(code)

    def drop(self) -> None:
        self.socket.transport.abort()


class Scripted:
    def __init__(self) -> None:
        self.url = ""
        self.lines: asyncio.Queue[Line] = asyncio.Queue()

    async def line(self) -> Line:
        """The next connection that a client makes."""
        async with asyncio.timeout(SOON_S):
            return await self.lines.get()

    async def welcomed(self, **about: Any) -> Line:
        line = await self.line()
        await line.welcome(**about)
        return line


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    house = Scripted()

    async def accept(socket: ServerConnection) -> None:
        line = Line(socket)
        house.lines.put_nowait(line)
        with suppress(OSError, ConnectionClosed):
            await line.read()

    protocols: Any = ["atrium.v1.json"]
    async with serve(
        accept, "127.0.0.1", 0, subprotocols=protocols, compression=None, ping_interval=None, close_timeout=0.2
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        house.url = f"ws://127.0.0.1:{port}/api/v1/treatments/provider-sync?location=l1"
        yield house

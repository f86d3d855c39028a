"""WebSockets of an ASGI application without a network."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from realtime.client.encoding import ENCODERS
from tests.protocol.server_runner import SocketClosedError
from tests.protocol.vectors import Encoding, Map

SOON_S: Final = 5.0
QUIET_S: Final = 0.05


class AsgiPeer:
    """`read(False)`: the server's writes stand still, as they do when the client's side is full."""

    def __init__(
        self, app: Any, target: str, subprotocols: Sequence[str], headers: Mapping[str, str], encoding: Encoding
    ):
        path, _, query = target.partition("?")
        self.subprotocol = ""
        self._encoder = ENCODERS[encoding]
        self._up: asyncio.Queue[Map] = asyncio.Queue()
        self._down: asyncio.Queue[str | bytes | int] = asyncio.Queue()
        self._flow = asyncio.Event()
        self._flow.set()
        self._accepted = asyncio.Event()
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "subprotocols": list(subprotocols),
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        self._up.put_nowait({"type": "websocket.connect"})
        self._serving = asyncio.get_running_loop().create_task(app(self._scope, self._up.get, self._take))

    async def accepted(self) -> None:
        async with asyncio.timeout(SOON_S):
            await self._accepted.wait()

    async def send(self, message: str | bytes) -> None:
        self._up.put_nowait({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})

    async def say(self, frame: Map) -> None:
        await self.send(self._encoder.encode(frame))

    async def frame(self) -> Map:
        async with asyncio.timeout(SOON_S):
            return self._read(await self._down.get())

    async def quiet(self) -> Map | None:
        try:
            async with asyncio.timeout(QUIET_S):
                return self._read(await self._down.get())
        except TimeoutError:
            return None

    async def closed(self) -> int:
        async with asyncio.timeout(SOON_S):
            while not isinstance(message := await self._down.get(), int):
                pass
        self._down.put_nowait(message)
        return message

    async def hang_up(self) -> None:
        self._up.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._flow.set()
        await asyncio.wait({self._serving}, timeout=SOON_S)

    async def read(self, reads: bool) -> None:
        if reads:
            self._flow.set()
        else:
            self._flow.clear()

    async def _take(self, message: Map) -> None:
        if message["type"] == "websocket.accept":
            self.subprotocol = message.get("subprotocol") or ""
            self._accepted.set()
        elif message["type"] == "websocket.close":
            self._down.put_nowait(int(message.get("code", 1000)))
            self._accepted.set()
        else:
            await self._flow.wait()
            text = message.get("text")
            self._down.put_nowait(message["bytes"] if text is None else text)

    def _read(self, message: str | bytes | int) -> Map:
        if isinstance(message, int):
            self._down.put_nowait(message)
            raise SocketClosedError(message)
        if isinstance(message, str) is not (self._encoder.subprotocol == "atrium.v1.json"):
            raise AssertionError(f"a {'text' if isinstance(message, str) else 'binary'} message in this encoding")
        frame: Map = self._encoder.decode(message)
        return frame

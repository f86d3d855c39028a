"""A server somewhere, reached over real sockets. It can be told nothing, so vectors that need more are left out."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime.client.encoding import ENCODERS
from tests.protocol.names import Names
from tests.protocol.server_runner import SocketClosedError
from tests.protocol.vectors import WAITS, Encoding, Map

SOON_S: Final = 10.0
QUIET_S: Final = 0.3
PREFIX: Final = "/api/v1"


class LivePeer:
    def __init__(self, socket: ClientConnection, encoding: Encoding) -> None:
        self._socket = socket
        self._encoder = ENCODERS[encoding]

    @property
    def subprotocol(self) -> str:
        return self._socket.subprotocol or ""

    async def send(self, message: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):  # which is then seen where a frame or the end is expected
            await self._socket.send(message)

    async def say(self, frame: Map) -> None:
        await self.send(self._encoder.encode(frame))

    async def frame(self) -> Map:
        async with asyncio.timeout(SOON_S):
            return await self._read()

    async def quiet(self) -> Map | None:
        try:
            async with asyncio.timeout(QUIET_S):
                return await self._read()
        except TimeoutError:
            return None

    async def closed(self) -> int:
        async with asyncio.timeout(SOON_S):
            with contextlib.suppress(SocketClosedError):
                while True:
                    await self._read()
        return self._socket.close_code or 1006

    async def hang_up(self) -> None:
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def read(self, reads: bool) -> None:
        raise LookupError("stalls")

    async def _read(self) -> Map:
        try:
            message = await self._socket.recv()
        except ConnectionClosed:
            raise SocketClosedError(self._socket.close_code or 1006) from None
        frame: Map = self._encoder.decode(message)
        return frame


class LiveServer:
    """`url` is a base like `ws://127.0.0.1:8000`. `patient`: time passes for real."""

    def __init__(self, url: str, given: Mapping[str, str], *, patient: bool = False) -> None:
        self.names = Names(given)
        self._url = url.rstrip("/").removesuffix("/live").removesuffix(PREFIX)
        self._patient = patient

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({WAITS}) if self._patient else frozenset()

    async def connect(
        self, endpoint: str, subprotocols: Sequence[str], headers: Mapping[str, str], encoding: Encoding
    ) -> LivePeer:
        offered: Any = list(subprotocols) or None
        socket = await connect(
            self._url + PREFIX + endpoint,
            subprotocols=offered,
            additional_headers=dict(headers),
            compression=None,
            ping_interval=None,
            close_timeout=1.0,
            max_size=None,
            proxy=None,
        )
        return LivePeer(socket, encoding)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def given(self, what: str, value: Any) -> None:
        raise LookupError(what)

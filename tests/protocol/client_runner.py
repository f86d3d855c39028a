"""Runs the vectors of `client/` against a client: plays the server's half and judges what the client sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from realtime.client.encoding import ENCODERS
from tests.protocol.drivers import Driver
from tests.protocol.judge import BreachError, Judge, readable
from tests.protocol.matching import mismatch
from tests.protocol.names import Names
from tests.protocol.vectors import ClientStep, ClientVector, Encoding, Map, unrolled, what

SOON_S: Final = 5.0
"""Within which a client does what is expected of it."""
QUIET_S: Final = 0.15
"""For which a client that should do nothing is watched: of a client in another language nobody can ask what it is up
to, so this one wait is by the clock."""
POLL_S: Final = 0.005
_MAY_COME: Final = ("ack", "presence")
TOKENS: Final = ["token-1", "token-2", "token-3"]


class _Line:
    """One socket of the client. What arrives is judged at once."""

    def __init__(self, socket: ServerConnection, judge: Judge, encoding: Encoding) -> None:
        self.socket = socket
        self._judge = judge
        self._encoder = ENCODERS[encoding]
        self.frames: asyncio.Queue[Map | Exception] = asyncio.Queue()

    async def read(self) -> None:
        self._judge.connected()
        try:
            async for data in self.socket:
                frame = self._encoder.decode(data)
                self._judge.heard(data, frame)
                self.frames.put_nowait(frame)
        except ConnectionClosed:
            pass
        except Exception as error:  # a breach, or what no decoder takes
            self.frames.put_nowait(error)
            await self.socket.wait_closed()

    async def say(self, frame: Map) -> None:
        self._judge.said(frame)
        await self.socket.send(self._encoder.encode(frame))


class ClientRun:
    """One vector with one client in one encoding."""

    def __init__(self, vector: ClientVector, driver: Driver, encoding: Encoding) -> None:
        self._vector = vector
        self._driver = driver
        self._encoding = encoding
        self._judge = Judge(encoding)
        self._names = Names({"subprotocol": f"atrium.v1.{encoding}"})
        self._waiting: asyncio.Queue[_Line] = asyncio.Queue()
        self._line: _Line | None = None

    async def play(self) -> None:
        """Raises `AssertionError` with the step that failed."""
        async with self._listening() as url:
            number = 0
            try:
                await self._driver.start(url, self._encoding, TOKENS)
                for step in unrolled(self._vector.steps, ClientStep, self._names.bind):
                    number += 1
                    try:
                        async with asyncio.timeout(SOON_S):
                            await self._step(step)
                    except (AssertionError, OSError, ConnectionClosed, LookupError) as error:
                        told = f"step {number}, {what(step)} {readable(getattr(step, what(step)))}"
                        raise AssertionError(f"{told}: {str(error) or type(error).__name__}") from error
            finally:
                await self._driver.stop()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[str]:
        async def accept(socket: ServerConnection) -> None:
            line = _Line(socket, self._judge, self._encoding)
            self._waiting.put_nowait(line)
            await line.read()

        protocols: Any = ["atrium.v1.json", "atrium.v1.msgpack"]
        async with serve(
            accept, "127.0.0.1", 0, subprotocols=protocols, compression=None, ping_interval=None, close_timeout=0.2
        ) as server:
            yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/api/v1/live"

    async def _step(self, step: ClientStep) -> None:
        verb = what(step)
        argument = getattr(step, verb)
        match verb:
            case "do":
                await self._driver.do(self._names.fill(argument))
            case "connect":
                self._line = await self._waiting.get()
                offered = {"subprotocol": self._line.socket.subprotocol}
                self._check(mismatch(argument, offered, self._names))
            case "client":
                self._check(mismatch(argument, await self._next(argument.get("t")), self._names))
            case "unordered":
                frames = [await self._next() for _ in argument]
                self._check(mismatch({"$unordered": argument}, frames, self._names))
            case "silence":
                await self._silence()
            case "server":
                await self._open().say(self._names.fill(argument))
            case "close":
                await self._open().socket.close(argument)
            case "drop":
                self._open().socket.transport.abort()
            case "expect":
                await self._expect(argument)
            case "gone":
                await asyncio.sleep(QUIET_S)
                assert self._waiting.empty(), "the client came back"

    async def _expect(self, argument: Map) -> None:
        """`{"<question>": …, "is": pattern}`: asked until it fits."""
        pattern = argument["is"]
        question = self._names.fill({key: value for key, value in argument.items() if key != "is"})
        wrong: str | None = "not asked"
        try:
            while wrong is not None:
                wrong = mismatch(pattern, await self._driver.observe(question), self._names)
                if wrong is not None:
                    await asyncio.sleep(POLL_S)
        except asyncio.CancelledError:
            raise AssertionError(wrong) from None

    def _open(self) -> _Line:
        assert self._line is not None, "the vector has not connected"
        return self._line

    async def _next(self, wanted: str | None = None) -> Map:
        """The next frame. Acknowledgements may come at any time, so they count only where one is expected."""
        while True:
            frame = await self._open().frames.get()
            if isinstance(frame, Exception):
                raise frame if isinstance(frame, AssertionError) else BreachError(repr(frame))
            if frame["t"] == wanted or frame["t"] not in (*_MAY_COME, *self._vector.ignore):
                return frame

    async def _silence(self) -> None:
        try:
            async with asyncio.timeout(QUIET_S):
                frame = await self._next()
        except TimeoutError:
            return
        raise AssertionError(f"the client said {readable(frame)}")

    @staticmethod
    def _check(wrong: str | None) -> None:
        assert wrong is None, wrong

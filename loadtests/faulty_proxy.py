"""A bad network as a TCP proxy in front of a WebSocket server: whatever goes wrong is drawn from a seed.

`async with FaultyProxy("127.0.0.1", port, draw=drawn(seed)) as proxy:` listens on `proxy.port`. Frames are looked at
only for their borders; masks and payloads stay as they are.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Literal, Self

import msgspec

from loadtests.frames import BINARY, TEXT

UP: Final = "up"
DOWN: Final = "down"
Direction = Literal["up", "down"]
"""`up`: from the client to the server."""

CHUNK_BYTES: Final = 65_536
SLOW_BYTES: Final = 256
SLOW_PAUSE_S: Final = 0.005
HEAD_BYTES_MAX: Final = 65_536

_AT_ONCE: Final = struct.pack("ii", 1, 0)
_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_LENGTH: Final = 0x7F
_MASKED: Final = 0x80


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection suffers.

    `end`: `half_open` (nothing is forwarded any more in `directions`, and nobody is told), `truncated` (half of a
    frame, then the end) or `dropped` (reset in both directions), with the frame number `after` of the first direction.
    `duplicate`: the probability that a data frame of the client arrives twice; its first frame, the hello, never does.
    `delay_s_max`: each read waits up to so long. `slow`: the client takes few bytes at a time.
    """

    end: Literal["", "half_open", "truncated", "dropped"] = ""
    directions: tuple[Direction, ...] = (UP,)
    after: int = 1
    duplicate: float = 0.0
    delay_s_max: float = 0.0
    slow: bool = False


CALM: Final = Plan()
Draw = Callable[[int], Plan]
"""The plan of the connection with this number (0, 1, 2 …)."""


def drawn(seed: int, *, frames_max: int = 60, delay_s_max: float = 0.02) -> Draw:
    """Faults of all kinds. The same seed and number give the same plan."""

    def draw(number: int) -> Plan:
        rng = random.Random(f"{seed}/{number}")
        directions: list[tuple[Direction, ...]] = [(UP,), (DOWN,), (UP, DOWN)]
        return Plan(
            end=rng.choices(("", "half_open", "truncated", "dropped"), (2, 2, 3, 3))[0],
            directions=rng.choice(directions),
            after=rng.randint(1, frames_max),
            duplicate=rng.choice((0.0, 0.1, 0.5)),
            delay_s_max=rng.choice((0.0, 0.0, delay_s_max)),
            slow=rng.random() < 0.2,
        )

    return draw


class FrameSplitter:
    """Raw frames, of either side, out of a byte stream."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while (size := self._size()) is not None and len(self._buffer) >= size:
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            yield frame

    def _size(self) -> int | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & _LENGTH, 2
        extended = {126: 2, 127: 8}.get(length, 0)
        if extended:
            if len(buffer) < start + extended:
                return None
            length, start = int.from_bytes(buffer[start : start + extended], "big"), start + extended
        return start + (4 if buffer[1] & _MASKED else 0) + length


def repeatable(frame: bytes) -> bool:
    """Whether it is a whole message: a final text or binary frame."""
    return bool(frame[0] & _FIN) and frame[0] & _OPCODE in {TEXT, BINARY}


class FaultyProxy:
    """`counters`: connections, half_open, truncated, dropped, delayed, slow (connections), duplicated (frames)."""

    def __init__(self, host: str, port: int, *, draw: Draw) -> None:
        self.counters: Counter[str] = Counter()
        self.port = 0
        self._target = (host, port)
        self._draw = draw
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for link in self._links.copy():
            link.reset()
        if self._server is not None:
            await self._server.wait_closed()

    def calm(self) -> None:
        """No more faults: what is broken is reset, the rest and what comes now is passed on as it is."""
        self._draw = lambda _: CALM
        for link in self._links.copy():
            link.calm()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plan = self._draw(self.counters["connections"])
        self.counters["connections"] += 1
        try:
            up_reader, up_writer = await self._reach(plan)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(plan, self.counters, (reader, writer), (up_reader, up_writer))
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _reach(self, plan: Plan) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not plan.slow:
            return await asyncio.open_connection(*self._target, limit=CHUNK_BYTES)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BYTES)  # what is not read fills the server's side
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self._target)
        return await asyncio.open_connection(sock=sock, limit=SLOW_BYTES)


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _OverError(Exception):
    """The link has ended."""


class _Link:
    def __init__(self, plan: Plan, counters: Counter[str], client: Side, server: Side) -> None:
        self._plan = plan
        self._counters = counters
        self._client = client
        self._server = server
        self._rng = random.Random(plan.after)
        self._deaf: set[Direction] = set()
        counters["delayed"] += plan.delay_s_max > 0
        counters["slow"] += plan.slow

    async def run(self) -> None:
        pumps = [
            asyncio.create_task(self._pump(UP, self._client[0], self._server[1])),
            asyncio.create_task(self._pump(DOWN, self._server[0], self._client[1])),
        ]
        try:
            await asyncio.gather(*pumps)
        except (_OverError, OSError):
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for _, writer in (self._client, self._server):
                writer.close()

    def reset(self) -> None:
        """End both sides at once, with a TCP reset, and what waits is lost."""
        for _, writer in (self._client, self._server):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()

    def calm(self) -> None:
        self._plan = CALM
        if self._deaf:
            self.reset()

    async def _pump(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction until its end. A half-open one goes on reading, and passes nothing on, not even the end."""
        head = await self._head(reader)
        writer.write(head)
        if direction == DOWN and b" 101 " not in head.partition(b"\r\n")[0]:
            await self._copy(reader, writer)
            return
        number = 0
        async for frame in self._frames(direction, reader):
            number += 1
            if direction not in self._deaf:
                await self._pass(direction, frame, number, writer)
        if direction not in self._deaf:
            writer.write_eof()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        """The HTTP part: a request, or an answer's head."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await reader.read(1)
            if not byte or len(head) >= HEAD_BYTES_MAX:
                raise _OverError
            head += byte
        return head

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """An answer that switches no protocol is passed on as it is."""
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def _frames(self, direction: Direction, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        splitter = FrameSplitter()
        while True:
            slow = self._plan.slow and direction == DOWN
            data = await reader.read(SLOW_BYTES if slow else CHUNK_BYTES)
            if not data:
                return
            pause = self._rng.uniform(0, self._plan.delay_s_max) + (SLOW_PAUSE_S if slow else 0)
            if pause:
                await asyncio.sleep(pause)
            for frame in splitter.feed(data):
                yield frame

    async def _pass(self, direction: Direction, frame: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        plan = self._plan
        if plan.end and direction == plan.directions[0] and number == plan.after:
            self._counters[plan.end] += 1
            await self._end(plan, frame, writer)
            return
        writer.write(frame)
        if direction == UP and number > 1 and repeatable(frame) and self._rng.random() < plan.duplicate:
            self._counters["duplicated"] += 1
            writer.write(frame)
        await writer.drain()

    async def _end(self, plan: Plan, frame: bytes, writer: asyncio.StreamWriter) -> None:
        if plan.end == "half_open":
            self._deaf.update(plan.directions)
            return
        if plan.end == "truncated":
            writer.write(frame[: max(1, len(frame) // 2)])
            await writer.drain()
        else:
            self.reset()
        raise _OverError

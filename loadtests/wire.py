"""One WebSocket of a load generator that speaks `atrium.v1`: connects, reads and writes messages, nothing more.

Pings and requests for a fresh token are answered here; everything else is for whoever derives from `Wire`.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from loadtests.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Handshake,
    HandshakeRefusedError,
    ProtocolViolationError,
    close_code,
    encode_frame,
)

STOP_CLOSE_CODES: Final = range(4500, 5000)
"""The server wants this device not to come back by itself."""
BACKOFF_SECONDS: Final = 0.05
"""First pause before a reconnect, doubled up to `BACKOFF_SECONDS_MAX`, with full jitter."""
BACKOFF_SECONDS_MAX: Final = 1.0


class Op(msgspec.Struct, frozen=True):
    """One command of a script: the entity (`cart/<id>`), the operation and its arguments."""

    ent: str
    op: str
    args: dict[str, Any]


class Seen(msgspec.Struct, gc=False):
    """An entity of a snapshot."""

    ent: str
    ver: int


class Message(msgspec.Struct):
    """What a generator looks at of any server frame; the rest, states and patches too, is skipped unread."""

    t: str
    ch: str = ""
    ent: str = ""
    ver: int = 0
    seq: int = 0
    status: str = ""
    code: str = ""
    detail: str = ""
    last: bool = False
    temporary: bool = False
    retry_after_ms: int = 0
    of: str = ""
    ref: int | str = 0
    n: int = 0
    entities: list[Seen] = []


class Endpoint:
    """Where to connect and how messages are encoded. Raises `ValueError` for anything but a `ws://` URL."""

    def __init__(self, url: str, encoding: str = "msgpack", headers: dict[str, str] | None = None) -> None:
        address = urlsplit(url)
        if address.scheme != "ws" or address.hostname is None:
            raise ValueError(f"the load generator speaks plain ws only, not {url}")
        self.netloc, self.host, self.port = address.netloc, address.hostname, address.port or 80
        self.path = address.path + (f"?{address.query}" if address.query else "")
        self.subprotocol = f"atrium.v1.{encoding}"
        self.headers = headers or {}
        binary = encoding == "msgpack"
        self.opcode = BINARY if binary else TEXT
        self.encode = msgspec.msgpack.Encoder().encode if binary else msgspec.json.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(Message).decode if binary else msgspec.json.Decoder(Message).decode


class Wire(asyncio.Protocol, ABC):
    """Derive from it: `opened` (say hello), `heard`, `ended` (close frame), `broken` (nonsense), `lost` (the last)."""

    def __init__(self, endpoint: Endpoint, token: str) -> None:
        self.endpoint = endpoint
        self.token = token
        self._transport: asyncio.Transport | None = None
        self._handshake: Handshake | None = None
        self._reader = FrameReader()

    # -- for those who derive -------------------------------------------------------------------------------------

    @abstractmethod
    def opened(self) -> None:
        """The server has switched protocols."""

    @abstractmethod
    def heard(self, message: Message) -> None: ...

    @abstractmethod
    def ended(self, code: int) -> None: ...

    @abstractmethod
    def broken(self, error: Exception) -> None: ...

    @abstractmethod
    def lost(self) -> None: ...

    async def connect(self) -> None:
        """Raises `OSError`."""
        endpoint = self.endpoint
        await asyncio.get_running_loop().create_connection(lambda: self, endpoint.host, endpoint.port)

    def say(self, message: dict[str, Any]) -> None:
        self._write(encode_frame(self.endpoint.opcode, self.endpoint.encode(message)))

    def leave(self) -> None:
        """Close in order."""
        if self._transport is not None:
            self._write(encode_frame(CLOSE, (1000).to_bytes(2, "big")))
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._reader = FrameReader()
        endpoint = self.endpoint
        self._handshake = Handshake(endpoint.netloc, endpoint.path, endpoint.subprotocol, endpoint.headers)
        self._write(self._handshake.request)

    def data_received(self, data: bytes) -> None:
        try:
            if self._handshake is not None:
                rest = self._handshake.feed(data)
                if rest is None:
                    return
                self._handshake = None
                self.opened()
                data = rest
            for opcode, payload in self._reader.feed(data):
                self._frame(opcode, payload)
        except (HandshakeRefusedError, ProtocolViolationError, msgspec.DecodeError) as error:
            self.broken(error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self.lost()

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode in {TEXT, BINARY}:
            message = self.endpoint.decode(payload)
            if message.t == "ping":
                self.say({"t": "pong", "n": message.n})
            elif message.t == "auth_required":
                self.say({"t": "auth", "token": self.token})
            else:
                self.heard(message)
        elif opcode == PING:
            self._write(encode_frame(PONG, payload))
        elif opcode == CLOSE:
            self.ended(close_code(payload))
            if self._transport is not None:
                self._write(encode_frame(CLOSE, payload[:2]))
                self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

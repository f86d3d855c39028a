"""The client's half of RFC 6455 without I/O, as little of it as a load generator needs.

No extensions are offered, so frames carry no reserved bits. A `websockets` server checks this in the tests.
"""

import base64
import hashlib
import os
import random
import struct
from collections.abc import Iterator
from typing import Final

from websockets.speedups import apply_mask

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
_CONTINUATION: Final = 0x0
_FIN: Final = 0x80
_MASKED: Final = 0x80
_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEAD_BYTES_MAX: Final = 16_384


class HandshakeRefusedError(Exception):
    """The server did not switch protocols; `args[0]` is its status line or what was wrong with it."""


class ProtocolViolationError(Exception):
    """A frame that a server may not send."""


class Handshake:
    """The opening request and the check of its answer."""

    def __init__(self, host: str, path: str, subprotocol: str, headers: dict[str, str]) -> None:
        self._key = base64.b64encode(os.urandom(16))
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            f"Sec-WebSocket-Protocol: {subprotocol}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._received = b""

    def feed(self, data: bytes) -> bytes | None:
        """What follows the answer's head once that is complete, None until then."""
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            if len(self._received) > _HEAD_BYTES_MAX:
                raise HandshakeRefusedError("the answer's head does not end")
            return None
        status, *lines = head.split(b"\r\n")
        if status.split(b" ")[1:2] != [b"101"]:
            raise HandshakeRefusedError(status.decode("latin-1"))
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        expected = base64.b64encode(hashlib.sha1(self._key + _ACCEPT_GUID).digest())
        if fields.get(b"sec-websocket-accept") != expected:
            raise HandshakeRefusedError("the answer does not belong to our key")
        return rest


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One final, masked frame."""
    size = len(payload)
    first = _FIN | opcode
    if size < 126:
        head = struct.pack("!BB", first, _MASKED | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, _MASKED | 126, size)
    else:
        head = struct.pack("!BBQ", first, _MASKED | 127, size)
    mask = random.getrandbits(32).to_bytes(4, "big")
    return head + mask + apply_mask(payload, mask)


def close_code(payload: bytes) -> int:
    """The code of a close frame; 1005 when it has none."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005


class FrameReader:
    """Server frames out of a byte stream, fragments joined."""

    def __init__(self) -> None:
        self._buffer = b""
        self._fragments: list[bytes] = []
        self._fragmented = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(opcode, payload) of every message and control frame completed by `data`."""
        buffer = self._buffer + data if self._buffer else data
        position, size = 0, len(buffer)
        try:
            while size - position >= 2:
                start, length = position + 2, buffer[position + 1]
                if length & _MASKED or buffer[position] & 0x70:
                    raise ProtocolViolationError("masked or extended frame from a server")
                if length == 126:
                    length, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
                elif length == 127:
                    length, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
                if size < start or size - start < length:
                    return
                first, payload = buffer[position], buffer[start : start + length]
                position = start + length
                message = self._complete(first, payload)
                if message is not None:
                    yield message
        finally:
            self._buffer = buffer[position:]

    def _complete(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        opcode, final = first & 0x0F, bool(first & _FIN)
        if opcode >= CLOSE:
            return opcode, payload
        if opcode != _CONTINUATION:
            if final:
                return opcode, payload
            self._fragmented, self._fragments = opcode, [payload]
            return None
        if not self._fragmented:
            raise ProtocolViolationError("a continuation of nothing")
        self._fragments.append(payload)
        if not final:
            return None
        opcode, self._fragmented = self._fragmented, 0
        return opcode, b"".join(self._fragments)

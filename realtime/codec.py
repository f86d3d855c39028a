"""The two encodings of `atrium.v1` and the strict way in: nothing undecodable gets past `decode`."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from realtime.frames import CLIENT_FRAMES, AnyClientFrame, ServerFrame

_HOSTILE: Final = (ValueError, TypeError, RecursionError, OverflowError, MemoryError)
"""What decoders raise for input made to hurt (nesting, unhashable keys, huge numbers)."""


class BadFrameError(Exception):
    """Not a frame of the protocol: close with 4501."""


class UnknownFrameError(Exception):
    """A well-formed message with a `t` that this version does not know: answer `error`, stay open."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        super().__init__(f"unknown frame type {tag!r}")


class _Head(msgspec.Struct):
    t: str


class Codec:
    """One encoding. `text` says which WebSocket frames carry it; frames are bytes on both."""

    __slots__ = ("_decode", "_head", "encode", "raw", "subprotocol", "text", "value")

    def __init__(
        self,
        subprotocol: str,
        *,
        text: bool,
        encode: Callable[[Any], bytes],
        decode: Callable[[Any], AnyClientFrame],
        head: Callable[[Any], _Head],
        raw: Callable[[bytes], msgspec.Raw],
    ) -> None:
        self.subprotocol = subprotocol
        self.text = text
        self.encode: Callable[[ServerFrame], bytes] = encode
        self.value: Callable[[Any], msgspec.Raw] = lambda value: msgspec.Raw(encode(value))
        self.raw = raw
        """From a value that a host encoded as msgpack."""
        self._decode = decode
        self._head = head

    def decode(self, data: str | bytes, bytes_max: int) -> AnyClientFrame:
        """Raises `BadFrameError` or `UnknownFrameError`, never anything else."""
        if len(data) > bytes_max:
            raise BadFrameError(f"frame over {bytes_max} bytes")
        if isinstance(data, str) is not self.text:
            raise BadFrameError("text frame expected" if self.text else "binary frame expected")
        try:
            if isinstance(data, str) and not data.isascii():
                data = data.encode()
                if len(data) > bytes_max:
                    raise BadFrameError(f"frame over {bytes_max} bytes")
            return self._decode(data)
        except msgspec.ValidationError as error:
            raise self._classify(data, str(error)) from None
        except _HOSTILE as error:
            raise BadFrameError(f"undecodable: {type(error).__name__}") from None

    def _classify(self, data: str | bytes, reason: str) -> BadFrameError | UnknownFrameError:
        try:
            tag = self._head(data).t
        except _HOSTILE:
            return BadFrameError("a message is a map with a text `t`")
        if tag in CLIENT_FRAMES:
            return BadFrameError(f"{tag}: {reason}")
        return UnknownFrameError(tag[:64])


_transcode = msgspec.msgpack.Decoder().decode

JSON: Final = Codec(
    "atrium.v1.json",
    text=True,
    encode=msgspec.json.Encoder().encode,
    decode=msgspec.json.Decoder(AnyClientFrame).decode,
    head=msgspec.json.Decoder(_Head).decode,
    raw=lambda view: msgspec.Raw(msgspec.json.encode(_transcode(view))),
)
MSGPACK: Final = Codec(
    "atrium.v1.msgpack",
    text=False,
    encode=msgspec.msgpack.Encoder().encode,
    decode=msgspec.msgpack.Decoder(AnyClientFrame).decode,
    head=msgspec.msgpack.Decoder(_Head).decode,
    raw=msgspec.Raw,
)

SUBPROTOCOLS: Final[dict[str, Codec]] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}


def negotiate(offered: list[str]) -> Codec | None:
    """The first encoding of the client's list that we speak; JSON when it offers none; None: no common one."""
    if not offered:
        return JSON
    return next((SUBPROTOCOLS[name] for name in offered if name in SUBPROTOCOLS), None)

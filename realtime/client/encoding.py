"""The client's own encoders, so that a mistake in the server's codec cannot hide in a round trip."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgpack

Encoding = Literal["json", "msgpack"]
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Encoder:
    subprotocol: str
    encode: Callable[[Message], str | bytes]
    decode: Callable[[str | bytes], Message]


ENCODERS: Final[dict[Encoding, Encoder]] = {
    "json": Encoder(
        "atrium.v1.json",
        json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode,
        json.loads,
    ),
    "msgpack": Encoder("atrium.v1.msgpack", msgpack.packb, msgpack.unpackb),
}

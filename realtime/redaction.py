"""Frames for those who may see only a part of a state: whoever follows a share link, without a login.

Frames are encoded once for all sockets of a channel; the few that see less have theirs taken apart and put together
again.
"""

from typing import Any

import msgspec

from realtime.codec import Codec

_json = msgspec.json.Decoder().decode
_msgpack = msgspec.msgpack.Decoder().decode


def redact(frame: bytes, codec: Codec, shown: frozenset[str]) -> bytes:
    """`frame` with only the `shown` fields in the states and patches that it carries."""
    message: dict[str, Any] = _json(frame) if codec.text else _msgpack(frame)
    match message["t"]:
        case "change":
            for content in ("state", "patch"):
                if content in message:
                    message[content] = _part(message[content], shown)
        case "snapshot":
            for entry in message["entities"]:
                entry["state"] = _part(entry["state"], shown)
        case _:
            return frame
    return bytes(codec.value(message))


def _part(content: dict[str, Any], shown: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name in shown}

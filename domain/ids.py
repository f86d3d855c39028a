"""Identifiers: UUIDv7 for what is new, name-based UUIDs for what must come out the same on a retry."""

import hashlib
import uuid

import uuid_utils

_NAMESPACE = uuid.UUID("9f0c8a52-6d5e-5e0b-9a43-2b1d7f3f5a11")


def new_id() -> str:
    """A fresh UUIDv7 as text: ordered by time, so index pages stay warm."""
    return str(uuid_utils.uuid7())


def new_command_id() -> bytes:
    """A fresh 16-byte command id."""
    return uuid_utils.uuid7().bytes


def derived_id(*parts: str | bytes) -> str:
    """The UUID that these parts always give; parts are length-prefixed so that no two lists collide."""
    return str(uuid.UUID(bytes=derived_command_id(*parts)))


def derived_command_id(*parts: str | bytes) -> bytes:
    """The 16-byte command id that these parts always give (a step of a process, an Idempotency-Key)."""
    digest = hashlib.sha256(_NAMESPACE.bytes)
    for part in parts:
        text = part.encode() if isinstance(part, str) else part
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text)
    raw = bytearray(digest.digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80  # version 8: the bits are ours
    raw[8] = (raw[8] & 0x3F) | 0x80  # the RFC 9562 variant
    return bytes(raw)


def device_command_id(subject: str, device_id: str, epoch: int, seq: int) -> bytes:
    """The id of a command in a device's queue. The subject is part of it: nobody can take up another's commands."""
    return derived_command_id("device", subject, device_id, str(epoch), str(seq))


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in canonical form (what the API accepts as an id)."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

"""The chain of the audit trail: each event carries SHA-256 of the hash before it and of itself.

What is hashed after the 32 bytes of the hash before is msgpack of

    [1, position, microseconds since 1970 UTC, actor, action, kind, object_id, organization_id, patient_id,
     outcome, reason, device, correlation]

The first event follows 32 zero bytes. This form is for ever: another one would be another number in front.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

HASH_BYTES: Final = 32
TEXTS: Final = (
    *("actor", "action", "kind", "object_id", "organization_id", "patient_id"),
    *("outcome", "reason", "device", "correlation"),
)
"""The hashed columns of text, in their order."""

_FORMAT: Final = 1
_encode = msgspec.msgpack.Encoder().encode


class Head(msgspec.Struct, frozen=True):
    """Where a chain ends: its last position and that event's hash."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


START: Final = Head(0, bytes(HASH_BYTES))


class Link(msgspec.Struct, frozen=True):
    """An event as it is stored; `texts` in the order of `TEXTS`."""

    position: int
    at_us: int
    texts: tuple[str, ...]
    hash: bytes


def parse_head(text: str) -> Head:
    """The head that `str` wrote. Raises `ValueError`."""
    position, _, digest = text.strip().partition(":")
    head = Head(int(position), bytes.fromhex(digest))
    if head.position < 0 or len(head.hash) != HASH_BYTES:
        raise ValueError("a head is a position, a colon and 64 hexadecimal digits")
    return head


def hash_after(previous: bytes, position: int, at_us: int, texts: Iterable[str]) -> bytes:
    """The hash of an event that follows the one with the hash `previous`."""
    return hashlib.sha256(previous + _encode((_FORMAT, position, at_us, *texts))).digest()


class ChainWalk:
    """Checks events in the order of positions; `head` is the last one that was right."""

    def __init__(self, head: Head = START) -> None:
        self.head = head
        self.checked = 0

    def take(self, links: Iterable[Link]) -> Link | None:
        """Go on with these; returns the first that does not follow from what came before, and stops there."""
        for link in links:
            after = self.head
            expected = hash_after(after.hash, link.position, link.at_us, link.texts)
            if link.position <= after.position or link.hash != expected:
                return link
            self.head = Head(link.position, link.hash)
            self.checked += 1
        return None

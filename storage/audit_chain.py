"""The chain of the audit trail: each event carries SHA-256 of the hash before it and of itself.

What is hashed after the 32 bytes of the hash before is msgpack of

    [1, position, microseconds since 1970 UTC, actor, action, kind, object_id, organization_id, patient_id,
     outcome, reason, device, correlation]

The first event follows 32 zero bytes. An event that has more to say (a purpose, a grant, what was changed) is

    [2, … as above …, purpose, grant_id, changes (bytes, as stored)]

Which of the two an event is, is told by what it has: one that is given something later, or loses all of it, does not
follow any more. Both forms are for ever: another one would be another number in front.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

HASH_BYTES: Final = 32
TEXTS: Final = (
    *("actor", "action", "kind", "object_id", "organization_id", "patient_id"),
    *("outcome", "reason", "device", "correlation"),
)
"""The hashed columns of text, in their order."""

MORE: Final = ("purpose", "grant_id", "changes")
"""The columns hashed besides, in their order, unless all are empty."""

_FORMAT: Final = 1
_FORMAT_WITH_MORE: Final = 2
_encode = msgspec.msgpack.Encoder().encode


class Head(msgspec.Struct, frozen=True):
    """Where a chain ends: its last position and that event's hash."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


START: Final = Head(0, bytes(HASH_BYTES))


class More(NamedTuple):
    """In the order of `MORE`."""

    purpose: str = ""
    grant_id: str = ""
    changes: bytes = b""


NO_MORE: Final = More()


class Link(msgspec.Struct, frozen=True):
    """An event as it is stored; `texts` in the order of `TEXTS`."""

    position: int
    at_us: int
    texts: tuple[str, ...]
    hash: bytes
    more: More = NO_MORE


def parse_head(text: str) -> Head:
    """The head that `str` wrote. Raises `ValueError`."""
    position, _, digest = text.strip().partition(":")
    head = Head(int(position), bytes.fromhex(digest))
    if head.position < 0 or len(head.hash) != HASH_BYTES:
        raise ValueError("a head is a position, a colon and 64 hexadecimal digits")
    return head


def hash_after(previous: bytes, position: int, at_us: int, texts: Iterable[str], more: More = NO_MORE) -> bytes:
    """The hash of an event that follows the one with the hash `previous`."""
    fields: tuple[Any, ...] = (_FORMAT, position, at_us, *texts)
    if more != NO_MORE:
        fields = (_FORMAT_WITH_MORE, *fields[1:], *more)
    return hashlib.sha256(previous + _encode(fields)).digest()


class ChainWalk:
    """Checks events in the order of positions; `head` is the last one that was right."""

    def __init__(self, head: Head = START) -> None:
        self.head = head
        self.checked = 0

    def take(self, links: Iterable[Link]) -> Link | None:
        """Go on with these; returns the first that does not follow from what came before, and stops there."""
        for link in links:
            after = self.head
            expected = hash_after(after.hash, link.position, link.at_us, link.texts, link.more)
            if link.position <= after.position or link.hash != expected:
                return link
            self.head = Head(link.position, link.hash)
            self.checked += 1
        return None

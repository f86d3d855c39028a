"""Sealing messages on their way through Redis: AES-256-GCM under keys derived from the data keys of a `KeyRing`.

A sealed message is, in this order:

    mark       1 byte    0xC1, by which no msgpack begins
    version    1 byte    1
    key id     4 bytes   which data key, unsigned, big endian
    salt       16 bytes  random, one for each publisher
    number     8 bytes   of this publisher's messages from 1, unsigned, big endian: the nonce
    ciphertext           as long as the payload
    tag        16 bytes

All before the ciphertext and the channel's name are authenticated with it: a message opens on its own channel only.
The key is HKDF-SHA256 of the data key and the salt, so each publisher has a key of its own, whose nonces are counted:
random ones under one key for everybody would run out of room after some days of full load.
"""

import secrets
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.crypto import KeyRing, TamperedError

OVERHEAD_BYTES: Final = 46
"""By how much a sealed message is longer than what it holds."""
PUBLISHERS_MAX: Final = 1_024
"""Publishers that one channel's opener remembers, those last heard: hosts and gateways, and what they were before."""

_MARK: Final = 0xC1
_VERSION: Final = 1
_PURPOSE: Final = b"atrium bus messages"
_SALT_BYTES: Final = 16
_LEADING: Final = struct.Struct(">BBI")
_NUMBER: Final = struct.Struct(">Q")
_NONCE_PADDING: Final = bytes(4)
_LEADING_BYTES: Final = _LEADING.size + _SALT_BYTES
_HEAD_BYTES: Final = _LEADING_BYTES + _NUMBER.size


def is_sealed(message: bytes) -> bool:
    """Whether it says that it is: what is in clear never does."""
    return message[:1] == bytes((_MARK,))


class MessageSealer:
    """One publisher. Not to be shared between processes: its numbers must be its own."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._number = 0
        self._adopt(keys.current)

    def seal(self, payload: bytes, channel: str) -> bytes:
        """Under the data key that is current now."""
        if self._keys.current != self._key_id:
            self._adopt(self._keys.current)
        self._number += 1
        number = _NUMBER.pack(self._number)
        head = self._leading + number
        return head + self._key.encrypt(_NONCE_PADDING + number, payload, head + channel.encode())

    def _adopt(self, key_id: int) -> None:
        self._key = AESGCM(self._keys.derived(key_id, _PURPOSE, self._salt))
        self._leading = _LEADING.pack(_MARK, _VERSION, key_id) + self._salt
        self._key_id = key_id


class _Publisher:
    __slots__ = ("key", "newest")

    def __init__(self, key: AESGCM) -> None:
        self.key = key
        self.newest = 0


class MessageOpener:
    """What one subscriber hears on one channel."""

    def __init__(self, keys: KeyRing, channel: str) -> None:
        self._keys = keys
        self._channel = channel.encode()
        self._publishers: dict[bytes, _Publisher] = {}

    def open(self, message: bytes) -> bytes | None:
        """The payload; None of a message that was opened here before, or is older than one of the same publisher.

        Raises `UnknownKeyError`, and `TamperedError` for whatever nobody sealed for this channel.
        """
        if len(message) < OVERHEAD_BYTES or not is_sealed(message) or message[1] != _VERSION:
            raise TamperedError("this is no sealed message")
        head, leading, number = (
            message[:_HEAD_BYTES],
            message[: _HEAD_BYTES - 8],
            message[_HEAD_BYTES - 8 : _HEAD_BYTES],
        )
        publisher = self._publishers.get(leading)
        if publisher is None:
            _, _, key_id = _LEADING.unpack_from(leading)
            publisher = _Publisher(AESGCM(self._keys.derived(key_id, _PURPOSE, leading[_LEADING.size :])))
        try:
            payload = publisher.key.decrypt(_NONCE_PADDING + number, message[_HEAD_BYTES:], head + self._channel)
        except InvalidTag:
            raise TamperedError("a message was damaged, or is for another channel") from None
        self._remember(leading, publisher)
        (count,) = _NUMBER.unpack(number)
        if count <= publisher.newest:
            return None
        publisher.newest = count
        return payload

    def _remember(self, leading: bytes, publisher: _Publisher) -> None:
        """Only those that proved to be one: whoever makes publishers up pushes nobody out."""
        self._publishers.pop(leading, None)
        self._publishers[leading] = publisher
        if len(self._publishers) > PUBLISHERS_MAX:
            del self._publishers[next(iter(self._publishers))]

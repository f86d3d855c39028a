"""Sealing bytes that must not lie open in the database: AES-256-GCM under the data keys of a `KeyRing`.

Sealed bytes are, in this order:

    version    1 byte    1
    key id     4 bytes   which data key, unsigned, big endian: to be read without any key
    nonce      12 bytes  random
    ciphertext           as long as the plaintext
    tag        16 bytes

The header (version and key id) and the caller's `aad` are authenticated with them. By `aad` the bytes are bound to
their place: opened for another row they are as good as damaged.
"""

import secrets
import struct
from collections.abc import Container, Mapping
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 33
"""By how much sealed bytes are longer than what they hold."""

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_header: Final = struct.Struct(">BI")


class SealError(Exception):
    """Sealed bytes that do not open."""


class UnknownKeyError(SealError):
    """Sealed under a data key that the ring does not have."""


class TamperedError(SealError):
    """Not sealed bytes at all, or damaged, or taken from another place."""


class KeySet(msgspec.Struct, frozen=True):
    """Data keys by id, and the one under which new bytes are sealed."""

    keys: Mapping[int, bytes]
    current: int


class KeySource(Protocol):
    """Where data keys are kept (`storage/data_keys.py`)."""

    async def keys(self, known: Container[int]) -> KeySet:
        """All but those whose ids are `known`. Raises `OSError` when they cannot be read now."""


class KeyRing:
    """The data keys of one process. `seal` and `open` are synchronous; only `refresh` reads anything."""

    def __init__(self, keys: KeySet, source: KeySource | None = None) -> None:
        """Raises `ValueError` unless the current key is among `keys`."""
        self._source = source
        self._raw: dict[int, bytes] = {}
        self._keys: dict[int, AESGCM] = {}
        self._take(keys)

    @classmethod
    def ephemeral(cls) -> "KeyRing":
        """A ring of one new key that nobody else has: what it sealed is lost with it. For what lives in memory."""
        return cls(KeySet({1: secrets.token_bytes(KEY_BYTES)}, 1))

    @property
    def current(self) -> int:
        """The id of the data key under which `seal` seals."""
        return self._current

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._header + nonce + self._sealing.encrypt(nonce, plaintext, self._header + aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """What was sealed with the same `aad`. Raises `UnknownKeyError`, `TamperedError`."""
        key_id = key_id_of(sealed)
        if key_id is None:
            raise TamperedError("these are no sealed bytes")
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownKeyError(f"data key {key_id} is unknown")
        body = _header.size + _NONCE_BYTES
        try:
            return key.decrypt(sealed[_header.size : body], sealed[body:], sealed[: _header.size] + aad)
        except InvalidTag:
            raise TamperedError("sealed bytes were damaged, or belong elsewhere") from None

    def lacks(self, sealed: bytes) -> bool:
        """Whether a data key that is missing here would open these bytes."""
        key_id = key_id_of(sealed)
        return key_id is not None and key_id not in self._keys

    def derived(self, key_id: int, purpose: bytes, salt: bytes) -> bytes:
        """A key of 32 bytes of its own for one purpose (HKDF-SHA256 of a data key). Raises `UnknownKeyError`."""
        key = self._raw.get(key_id)
        if key is None:
            raise UnknownKeyError(f"data key {key_id} is unknown")
        return HKDF(SHA256(), KEY_BYTES, salt, purpose).derive(key)

    async def refresh(self) -> None:
        """Learn the keys that others made since. Raises what the source raises."""
        if self._source is not None:
            self._take(await self._source.keys(self._keys))

    def _take(self, found: KeySet) -> None:
        self._raw |= found.keys
        self._keys |= {key_id: AESGCM(key) for key_id, key in found.keys.items()}
        if found.current not in self._keys:
            raise ValueError(f"the current data key {found.current} is missing")
        self._current = found.current
        self._sealing = self._keys[found.current]
        self._header = _header.pack(_VERSION, found.current)


def key_id_of(sealed: bytes) -> int | None:
    """The id of the data key that sealed these bytes, None if they are no sealed bytes."""
    if len(sealed) < OVERHEAD_BYTES:
        return None
    version, key_id = _header.unpack_from(sealed)
    return key_id if version == _VERSION else None


def head_of(key_id: int) -> bytes:
    """The bytes that all begin with that this data key has sealed."""
    return _header.pack(_VERSION, key_id)

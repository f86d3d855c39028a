"""Files that are sealed as they are written, and opened as they are read: neither is ever whole in memory.

    magic     8 bytes    `ATRSEAL1`
    chunk     65,552     64 KiB of content and the tag of AES-256-GCM; the last may be shorter, and is there always

The nonce of a chunk is its number and whether it is the last, so chunks cannot be dropped, repeated or moved; a key
seals one file only. `place` is authenticated with each: a file opens under its own name only.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.crypto import KEY_BYTES, TamperedError

CHUNK_BYTES: Final = 65_536

_MAGIC: Final = b"ATRSEAL1"
_TAG_BYTES: Final = 16


def new_file_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


class SealedWriter:
    """A file object to write to, for whoever only writes and flushes (a `ZipFile` does). Mode 0600."""

    def __init__(self, path: Path, key: bytes, place: str) -> None:
        self._path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._cipher = AESGCM(key)
        self._place = place.encode()
        self._waiting = bytearray()
        self._number = 0
        self.size_bytes = 0
        """Bytes of content so far."""
        self._file.write(_MAGIC)

    def write(self, data: bytes) -> int:
        self._waiting += data
        self.size_bytes += len(data)
        while len(self._waiting) > CHUNK_BYTES:  # one is kept back: it may be the last
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def flush(self) -> None:
        """Nothing: a chunk goes out when it is full."""

    def close(self) -> None:
        """Write the last chunk; durable afterwards."""
        self._seal(bytes(self._waiting), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self.close()
        else:
            self.discard()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, self._place))
        self._number += 1


def read_sealed(path: Path, key: bytes, place: str) -> Iterator[bytes]:
    """The content, chunk by chunk. Raises `TamperedError` (also for a file that was cut off), `OSError`."""
    cipher, number = AESGCM(key), 0
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise TamperedError("this is no sealed file")
        chunk = file.read(CHUNK_BYTES + _TAG_BYTES)
        while True:
            following = file.read(CHUNK_BYTES + _TAG_BYTES)
            try:
                plain = cipher.decrypt(_nonce(number, last=not following), chunk, place.encode())
            except InvalidTag:
                raise TamperedError("a sealed file was damaged, cut off, or belongs elsewhere") from None
            yield plain
            if not following:
                return
            chunk, number = following, number + 1


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((last,))

"""What browsers carry for us, sealed: nothing of it is kept here, and nobody but this installation can make it."""

import base64
import binascii
from typing import TypeVar

import msgspec

from storage.crypto import KeyRing, SealError

T = TypeVar("T")


class Sealing:
    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, value: msgspec.Struct, place: str) -> str:
        """As text that fits a cookie and a URL. It opens only for the same `place`."""
        sealed = self._keys.seal(msgspec.msgpack.encode(value), place.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    async def open(self, text: str, place: str, type_: type[T]) -> T | None:
        """None for what was not sealed here, for this."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if self._keys.lacks(sealed):
                await self._keys.refresh()
            return msgspec.msgpack.decode(self._keys.open(sealed, place.encode()), type=type_)
        except (binascii.Error, ValueError, SealError, msgspec.DecodeError):
            return None

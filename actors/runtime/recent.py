"""The command ids one entity remembers (invariant 4).

Few ids are kept packed in one bytearray (a cart sees a handful, and there are 100,000 carts); past
`_PACKED_MAX` they move into a dict, because a hot entity sees thousands a second.
"""

import struct
from typing import Final

_RECORD: Final = struct.Struct(">16s16sQ")
_PACKED_MAX: Final = 24


class RecentCommands:
    """Maps a command id to (version, body hash). `complete`: nothing has been forgotten yet."""

    __slots__ = ("_packed", "_table", "complete")

    def __init__(self, packed: bytes = b"", complete: bool = True) -> None:
        self.complete = complete
        self._packed: bytes = b""
        self._table: dict[bytes, tuple[int, bytes]] | None = None
        if len(packed) > _PACKED_MAX * _RECORD.size:
            self._table = {cid: (version, digest) for cid, digest, version in _RECORD.iter_unpack(packed)}
        else:
            self._packed = bytes(packed)

    def find(self, command_id: bytes) -> tuple[int, bytes] | None:
        """(version, body hash) of a remembered command."""
        if self._table is not None:
            return self._table.get(command_id)
        packed, size = self._packed, _RECORD.size
        at = packed.find(command_id)
        while at >= 0 and at % size:
            at = packed.find(command_id, at + 1)
        if at < 0:
            return None
        _, digest, version = _RECORD.unpack_from(packed, at)
        return version, digest

    def add(self, command_id: bytes, digest: bytes, version: int, keep: int) -> None:
        """Remember one more, forgetting the oldest past `keep`."""
        if self._table is None:
            self._packed += _RECORD.pack(command_id, digest, version)
            if len(self._packed) <= min(_PACKED_MAX, keep) * _RECORD.size:
                return
            self._table = {cid: (ver, dig) for cid, dig, ver in _RECORD.iter_unpack(self._packed)}
            self._packed = b""
        else:
            self._table[command_id] = (version, digest)
        while len(self._table) > keep:
            del self._table[next(iter(self._table))]
            self.complete = False

    def pack(self) -> bytes:
        if self._table is None:
            return self._packed
        return b"".join(_RECORD.pack(cid, digest, version) for cid, (version, digest) in self._table.items())

"""Which of the 256 logical shards an entity belongs to. The hash is part of the stored data: never change it."""

import zlib

from storage.journal.shards import SHARDS

__all__ = ["SHARDS", "shard_of"]


def shard_of(kind: str, id: str) -> int:
    """The shard, 0..255, of one entity: CRC-32 of `kind/id`, the same in every process and release."""
    return zlib.crc32(f"{kind}/{id}".encode()) % SHARDS

"""Data keys in Postgres, wrapped: every process of an installation reads the same ones.

The first is made by whoever comes first: of two that start at once and insert the same id, one wins, and both read
what it wrote. A key stays for as long as anything sealed with it does; `retired_at` only ends its use for new rows.
The newest that is not retired is current.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from pydantic import SecretStr

from storage.crypto import KEY_BYTES, KeyRing, KeySet
from storage.journal.connection import Connection, connect, store_errors
from storage.key_wrapping import SETTING, EncryptionKeyError, KeyWrapper, local_wrapper

_APPLICATION: Final = "atrium-keys"
_TIMEOUT_S: Final = 10.0

_SELECT: Final = "SELECT id, wrapped, wrapper, retired_at IS NOT NULL FROM data_keys ORDER BY id"
_INSERT: Final = "INSERT INTO data_keys (id, wrapped, wrapper) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING"


class StoredKey(msgspec.Struct, frozen=True):
    """A data key as the table has it; `wrapper` names the key-encryption key."""

    id: int
    wrapped: bytes
    wrapper: str
    retired: bool


class DataKeyTable:
    """A `KeySource`. It connects for each reading: there are few."""

    def __init__(self, url: str, wrapper: KeyWrapper, reopen: Callable[[], KeyWrapper] | None = None) -> None:
        """`reopen` gives the key-encryption key as it is now, when a data key turns out to be wrapped by another."""
        self._url = url
        self._wrapper = wrapper
        self._reopen = reopen

    async def keys(self, known: Container[int]) -> KeySet:
        """Keys that are not `known`, unwrapped. Raises `EncryptionKeyError`, `OSError`, `JournalError`."""
        stored = await read_data_keys(self._url)
        found = {row.id: await self.unwrap(row) for row in stored if row.id not in known}
        return KeySet(found, max((row.id for row in stored if not row.retired), default=0))

    async def add(self, key_id: int) -> None:
        """Make a data key under this id, unless another process was first. Raises like `keys`."""
        wrapped = await self._wrapper.wrap(secrets.token_bytes(KEY_BYTES), context_of(key_id))
        async with _connection(self._url) as connection:
            await connection.execute(_INSERT, key_id, wrapped, self._wrapper.name)

    async def unwrap(self, row: StoredKey) -> bytes:
        """The data key itself. Raises `EncryptionKeyError`, `OSError`."""
        if row.wrapper != self._wrapper.name and self._reopen is not None:
            self._wrapper = self._reopen()
        if row.wrapper != self._wrapper.name:
            raise EncryptionKeyError(
                f"data key {row.id} was wrapped by {row.wrapper}, and the key of this process is "
                f"{self._wrapper.name}: {SETTING} (or the file in keys/, or ATRIUM_KMS_URL) is not the one of this "
                "database"
            )
        return await self._wrapper.unwrap(row.wrapped, context_of(row.id))


async def open_key_ring(
    url: str, keys_folder: Path | None, setting: SecretStr | None, service: KeyWrapper | None = None
) -> KeyRing:
    """The ring of an installation; makes its first data key, and with that the key file, if there is none yet.

    `setting` is `Settings.encryption_key` as this very process has it; without it `keys_folder` must be given. With a
    key management `service`, neither counts.
    Raises `EncryptionKeyError` (missing or wrong key), `OSError`, `JournalError`.
    """
    stored = await read_data_keys(url)
    if service is not None:
        table = DataKeyTable(url, service)
    else:
        table = DataKeyTable(
            url,
            local_wrapper(keys_folder, setting, create=not stored),
            lambda: local_wrapper(keys_folder, setting, create=False),
        )
    if all(row.retired for row in stored):
        await table.add(max((row.id for row in stored), default=0) + 1)
    return KeyRing(await table.keys(known=()), table)


async def read_data_keys(url: str) -> Sequence[StoredKey]:
    """All data keys as they are stored, by id. Raises `OSError`, `JournalError`."""
    async with _connection(url) as connection:
        return [StoredKey(*record) for record in await connection.fetch(_SELECT)]


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, _APPLICATION, _TIMEOUT_S)
    try:
        async with store_errors():
            yield connection
    finally:
        await connection.close()


def context_of(key_id: int) -> bytes:
    """A wrapped key under another id is not unwrapped."""
    return f"atrium data key {key_id}".encode()

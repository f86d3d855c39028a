"""Data keys in Postgres: one installation, one set of keys, whoever starts first."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from storage.crypto import KeyRing, key_id_of
from storage.data_keys import DataKeyTable, open_key_ring, read_data_keys
from storage.key_files import new_key_text
from storage.key_wrapping import KEY_FILE, EncryptionKeyError, local_wrapper

pytestmark = pytest.mark.stack


async def _sql(url: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


def _share_keys(one: KeyRing, other: KeyRing) -> bool:
    return other.open(one.seal(b"plain", b"here"), b"here") == b"plain" == one.open(other.seal(b"plain", b""), b"")


async def test_hosts_that_start_at_once_have_the_same_first_key(database_url: str, tmp_path: Path) -> None:
    rings = await asyncio.gather(*(open_key_ring(database_url, tmp_path, None) for _ in range(6)))
    assert all(_share_keys(rings[0], ring) for ring in rings)
    (stored,) = await read_data_keys(database_url)
    assert (stored.id, stored.retired) == (1, False)
    assert stored.wrapper == local_wrapper(tmp_path, None, create=False).name


async def test_a_later_start_reads_what_an_earlier_one_sealed(database_url: str) -> None:
    setting = SecretStr(new_key_text())
    sealed = (await open_key_ring(database_url, None, setting)).seal(b"plain", b"here")
    assert (await open_key_ring(database_url, None, setting)).open(sealed, b"here") == b"plain"


async def test_with_another_key_the_start_says_so(database_url: str, tmp_path: Path) -> None:
    await open_key_ring(database_url, tmp_path, None)
    with pytest.raises(EncryptionKeyError, match=r"data key 1 was wrapped by local:\w+, .* ATRIUM_ENCRYPTION_KEY"):
        await open_key_ring(database_url, tmp_path, SecretStr(new_key_text()))
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(EncryptionKeyError, match="neither ATRIUM_ENCRYPTION_KEY nor"):
        await open_key_ring(database_url, tmp_path, None)
    assert not (tmp_path / KEY_FILE).exists()
    assert len(await read_data_keys(database_url)) == 1


async def test_when_every_key_is_retired_the_next_start_makes_one(database_url: str, tmp_path: Path) -> None:
    first = await open_key_ring(database_url, tmp_path, None)
    sealed = first.seal(b"plain", b"")
    await _sql(database_url, "UPDATE data_keys SET retired_at = now()")
    second = await open_key_ring(database_url, tmp_path, None)
    assert key_id_of(second.seal(b"", b"")) == 2
    assert second.open(sealed, b"") == b"plain"
    assert [row.retired for row in await read_data_keys(database_url)] == [True, False]


async def test_a_running_ring_learns_what_was_added_since(database_url: str, tmp_path: Path) -> None:
    running = await open_key_ring(database_url, tmp_path, None)
    table = DataKeyTable(database_url, local_wrapper(tmp_path, None, create=False))
    await table.add(2)
    before = await read_data_keys(database_url)
    await table.add(2)  # and whoever comes second changes nothing
    assert await read_data_keys(database_url) == before
    newer = await open_key_ring(database_url, tmp_path, None)
    sealed = newer.seal(b"plain", b"")
    assert running.lacks(sealed)
    await running.refresh()
    assert running.open(sealed, b"") == b"plain"


async def test_a_wrapped_key_under_another_id_or_damaged_is_refused(database_url: str, tmp_path: Path) -> None:
    await open_key_ring(database_url, tmp_path, None)
    for damage in ("id = id + 1", "id = id - 1, wrapped = wrapped || '\\x00'::bytea"):
        await _sql(database_url, f"UPDATE data_keys SET {damage}")
        with pytest.raises(EncryptionKeyError, match="damaged"):
            await open_key_ring(database_url, tmp_path, None)


async def test_a_database_that_is_away_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - of no other call
        await open_key_ring("postgresql://nobody@127.0.0.1:9/none", tmp_path, None)
    assert not (tmp_path / KEY_FILE).exists()

"""Rotation of data keys: what old keys sealed is sealed anew under the same place, and nobody notices."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from actors.runtime.local import LocalRuntime
from storage.accounts.lookup import Vault
from storage.crypto import KeyRing, KeySet, key_id_of
from storage.data_keys import open_key_ring, read_data_keys
from storage.db import Database
from storage.journal.postgres import PostgresJournal
from storage.key_changes import make_current_key, next_key_id, retire_data_key
from storage.key_refresh import refresh_forever
from storage.key_replacement import NEXT_FILE, read_wrapper, replace_key, replace_key_file
from storage.key_wrapping import KEY_FILE, EncryptionKeyError, LocalWrapper, local_wrapper
from storage.models import Base
from storage.resealing import PAGE_ROWS, key_usage, reseal
from storage.sealed_columns import PLAIN, column_place, sealed_columns
from tests.actors.runtime.counter import OWNER
from tests.actors.runtime.secret import SECRETS, Note

stack = pytest.mark.stack
COLUMNS = sealed_columns(("secret",))

OPEN_BYTES = {
    *("journal.command_hash", "audit_events.hash", "audit_head.hash", "data_keys.wrapped"),
    *("users.email_hash", "refresh_tokens.hash", "one_time_tokens.hash", "login_failures.email_hash"),
    *("passkeys.credential_id", "passkeys.public_key", "recovery_codes.hash", "factor_challenges.hash"),
    *("api_keys.hash", "oidc_spent.hash", "idempotency_keys.id", "invitations.email_hash", "invitations.hash"),
}
"""Columns of bytes that are not sealed by a data key."""


async def rotated(url: str, folder: Path) -> int:
    key_id = await next_key_id(url)
    assert await make_current_key(url, local_wrapper(folder, None, create=False), key_id)
    return key_id


async def fetch(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def note(url: str, keys: KeyRing, *ids: str, text: str = "x") -> None:
    async with PostgresJournal(url) as journal, LocalRuntime(journal, journal, SECRETS, keys=keys) as local:
        await asyncio.gather(*(local.client.ask("secret", id_, Note(text), actor=OWNER) for id_ in ids))


def test_every_column_of_bytes_is_known_as_sealed_or_open() -> None:
    known = {f"{column.table}.{column.column}" for column in COLUMNS} | OPEN_BYTES
    binary = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert binary == known


@stack
async def test_after_a_rotation_all_is_sealed_anew_and_reads_as_before(database_url: str, tmp_path: Path) -> None:
    ids = [f"s{number}" for number in range(PAGE_ROWS + 5)]
    old = await open_key_ring(database_url, tmp_path, None)
    await note(database_url, old, *ids)
    rows = "SELECT kind, id, version, position, xid::text, command_id, time FROM journal ORDER BY position"
    before = await fetch(database_url, rows)
    assert await rotated(database_url, tmp_path) == 2
    ring = await open_key_ring(database_url, tmp_path, None)
    seen: list[int] = []
    done = await reseal(database_url, ring, COLUMNS, lambda _, so_far: seen.append(so_far.resealed))
    assert done.resealed == done.walked == len(await fetch(database_url, "SELECT 1 FROM snapshots")) + len(ids)
    assert done.damaged == 0
    assert seen == sorted(seen)
    assert seen[-1] == done.resealed
    assert await key_usage(database_url, COLUMNS) == {2: done.resealed}
    assert await fetch(database_url, rows) == before
    # A host of before the rotation has the old key only: it asks for the new one when it meets it.
    await note(database_url, old, *ids, text="y")
    assert (await reseal(database_url, ring, COLUMNS)).damaged == 0


@stack
async def test_a_walk_that_was_broken_off_goes_on(database_url: str, tmp_path: Path) -> None:
    ids = [f"s{number}" for number in range(2 * PAGE_ROWS)]
    await note(database_url, await open_key_ring(database_url, tmp_path, None), *ids)
    await rotated(database_url, tmp_path)
    ring = await open_key_ring(database_url, tmp_path, None)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await reseal(database_url, ring, COLUMNS, stop)
    used = await key_usage(database_url, COLUMNS)
    assert used[2] == PAGE_ROWS
    again = await reseal(database_url, ring, COLUMNS)
    assert again.resealed == used[1]
    assert (await reseal(database_url, ring, COLUMNS)).resealed == 0


@stack
async def test_hosts_write_and_take_over_while_it_is_resealed(database_url: str, tmp_path: Path) -> None:
    ids = [f"s{number}" for number in range(40)]
    running = await open_key_ring(database_url, tmp_path, None)
    await note(database_url, running, *ids)
    await rotated(database_url, tmp_path)
    ring = await open_key_ring(database_url, tmp_path, None)
    writing = asyncio.gather(*(_write(database_url, running, ids) for _ in range(1)))
    walks = [await reseal(database_url, ring, COLUMNS)]
    while not writing.done():
        walks.append(await reseal(database_url, ring, COLUMNS))
    await writing
    walks.append(await reseal(database_url, ring, COLUMNS))
    assert [walk.damaged for walk in walks] == [0] * len(walks)
    assert set(await key_usage(database_url, COLUMNS)) == {2}
    rows = await fetch(database_url, "SELECT version FROM journal WHERE id = 's7' ORDER BY version")
    assert [row[0] for row in rows] == [1, 2, 3, 4]


async def _write(url: str, keys: KeyRing, ids: list[str]) -> None:
    for _ in range(3):
        await note(url, keys, *ids)


@stack
async def test_a_damaged_value_is_left_and_counted(database_url: str, tmp_path: Path) -> None:
    await note(database_url, await open_key_ring(database_url, tmp_path, None), "a", "b")
    await fetch(database_url, "UPDATE journal SET payload = set_byte(payload, 40, 0) || 'x' WHERE id = 'a'")
    await rotated(database_url, tmp_path)
    ring = await open_key_ring(database_url, tmp_path, None)
    done = await reseal(database_url, ring, COLUMNS)
    assert done.damaged == 1
    assert (await key_usage(database_url, COLUMNS))[1] == 1


@stack
async def test_values_of_accounts_are_sealed_anew_too(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    vault = Vault(database, await open_key_ring(database_url, tmp_path, None))
    digest = await vault.hash_email("ada@example.org")
    await rotated(database_url, tmp_path)
    ring = await open_key_ring(database_url, tmp_path, None)
    assert (await reseal(database_url, ring, COLUMNS)).resealed == 1
    assert await Vault(database, ring).hash_email("ADA@example.org") == digest
    await database.close()
    assert column_place("users", "email", "u1") == b"users/email/u1"
    assert column_place("refresh_tokens", "successor", b"\x01\xff") == b"refresh_tokens/successor/01ff"
    assert {table for table, *_ in PLAIN} <= set(Base.metadata.tables)


@stack
async def test_a_key_is_retired_only_when_it_is_not_current(database_url: str, tmp_path: Path) -> None:
    await open_key_ring(database_url, tmp_path, None)
    assert not await retire_data_key(database_url, 1)
    await rotated(database_url, tmp_path)
    assert await retire_data_key(database_url, 1)
    assert not await retire_data_key(database_url, 1)
    assert not await retire_data_key(database_url, 2)
    assert (await open_key_ring(database_url, tmp_path, None)).current == 2
    assert [key.retired for key in await read_data_keys(database_url)] == [True, False]


@stack
async def test_the_key_file_is_replaced_while_processes_run_and_rotate_later(database_url: str, tmp_path: Path) -> None:
    running = await open_key_ring(database_url, tmp_path, None)
    sealed = running.seal(b"plain", b"")
    before = (tmp_path / KEY_FILE).read_bytes()
    done = await replace_key_file(database_url, tmp_path)
    assert done.count == 1
    assert (tmp_path / KEY_FILE).read_bytes() != before
    files = {str(path): path for path in tmp_path.glob("*")}  # noqa: ASYNC240 - a test's own folder
    assert files[done.put_aside].read_bytes() == before
    assert len(files) == 2  # none is left over
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert (await open_key_ring(database_url, tmp_path, None)).open(sealed, b"") == b"plain"
    await rotated(database_url, tmp_path)
    await running.refresh()
    assert running.current == 2


@stack
async def test_a_replacement_that_was_broken_off_is_finished_by_the_next(database_url: str, tmp_path: Path) -> None:
    ring = await open_key_ring(database_url, tmp_path, None)
    other = tmp_path / "other"
    other.mkdir()
    (other / KEY_FILE).write_bytes((tmp_path / KEY_FILE).read_bytes())
    await replace_key_file(database_url, other)
    # As it is in `tmp_path` right after the transaction.
    (tmp_path / NEXT_FILE).write_bytes((other / KEY_FILE).read_bytes())
    assert (await replace_key_file(database_url, tmp_path)).count == 0
    again = await open_key_ring(database_url, tmp_path, None)
    assert again.open(ring.seal(b"plain", b""), b"") == b"plain"


@stack
async def test_with_the_wrong_old_key_nothing_is_wrapped(database_url: str, tmp_path: Path) -> None:
    await open_key_ring(database_url, tmp_path, None)
    before = await read_data_keys(database_url)
    with pytest.raises(EncryptionKeyError, match="was wrapped by"):
        await replace_key(database_url, LocalWrapper(bytes(32)), LocalWrapper(b"\x01" * 32))
    assert await read_data_keys(database_url) == before
    with pytest.raises(EncryptionKeyError):
        read_wrapper(tmp_path / "none")


class Source:
    """A `KeySource` that is away at first."""

    def __init__(self) -> None:
        self.failures = [ConnectionError("away"), EncryptionKeyError("another key")]

    async def keys(self, known: object) -> KeySet:
        if self.failures:
            raise self.failures.pop()
        return KeySet({2: b"\x02" * 32}, 2)


async def test_a_new_key_is_adopted_within_the_interval_also_after_failures() -> None:
    ring = KeyRing(KeySet({1: b"\x01" * 32}, 1), Source())
    pauses: list[tuple[float, int]] = []

    async def pause(seconds: float) -> None:
        pauses.append((seconds, ring.current))
        if len(pauses) == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await refresh_forever(ring, 60.0, pause)
    assert pauses == [(60.0, 1), (60.0, 1), (60.0, 1), (60.0, 2)]
    assert key_id_of(ring.seal(b"", b"")) == 2

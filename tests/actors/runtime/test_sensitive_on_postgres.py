"""A sensitive kind on the real tables: nothing of it lies in clear there, and a restart reads it all."""

from pathlib import Path

import asyncpg
import msgspec
import pytest

from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LocalRuntime
from storage.crypto import key_id_of
from storage.journal.postgres import PostgresJournal
from storage.key_wrapping import KEY_FILE, EncryptionKeyError
from tests.actors.runtime.counter import OWNER
from tests.actors.runtime.secret import SECRETS, Note

pytestmark = pytest.mark.stack

PLAIN = "allergic to lidocaine"


async def noted(config: RuntimeConfig, text: str) -> list[str]:
    """Start as a host does, with a ring read from the table; the texts after adding one."""
    keys = await config.open_keys()
    async with (
        PostgresJournal(config.database_url) as journal,
        LocalRuntime(journal, journal, SECRETS, keys=keys) as local,
    ):
        answer = await local.client.ask("secret", "a", Note(text), actor=OWNER, want=1)
        return list(msgspec.json.decode(answer.view)["texts"])


async def everything_stored(url: str) -> tuple[list[bytes], bytes]:
    """All sealed columns; and every row of every table, as one run of bytes."""
    connection = await asyncpg.connect(url)
    try:
        sealed = [
            row[0] for row in await connection.fetch("SELECT payload FROM journal UNION SELECT data FROM snapshots")
        ]
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f"SELECT * FROM {name}") for (name,) in tables]
    finally:
        await connection.close()
    values = (value for table in rows for row in table for value in row.values())
    return sealed, b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


async def test_no_table_holds_it_in_clear_and_a_restart_with_keys_from_the_table_reads_it(
    database_url: str, tmp_path: Path
) -> None:
    config = RuntimeConfig(database_url, "", keys_dir=str(tmp_path))
    assert await noted(config, PLAIN) == [PLAIN]
    assert await noted(config, "and to nickel") == [PLAIN, "and to nickel"]
    sealed, everything = await everything_stored(database_url)
    assert len(sealed) == 3
    assert {key_id_of(one) for one in sealed} == {1}
    for word in (b"lidocaine", b"nickel", b"noted"):
        assert word not in everything
    key = (tmp_path / KEY_FILE).read_bytes().strip()
    assert key not in everything


async def test_a_host_with_the_wrong_key_does_not_start(database_url: str, tmp_path: Path) -> None:
    right = RuntimeConfig(database_url, "", keys_dir=str(tmp_path / "right"))
    await noted(right, PLAIN)
    for folder, reason in (("wrong", "neither"), ("", "no folder")):
        wrong = RuntimeConfig(database_url, "", keys_dir=str(tmp_path / folder) if folder else "")
        with pytest.raises(EncryptionKeyError, match=reason):
            await noted(wrong, "never written")
    assert await noted(right, "still there") == [PLAIN, "still there"]

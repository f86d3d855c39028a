"""`atrium keys` from the first key to its retirement, on one database."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from cluster.cli import run
from storage.accounts.lookup import Vault
from storage.data_keys import open_key_ring
from storage.db import Database
from storage.key_files import new_key_text
from storage.key_wrapping import KEY_FILE
from tests.storage.key_service import TOKEN, serving

pytestmark = pytest.mark.stack


class Keys:
    def __init__(self, url: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.data = data
        self._capsys = capsys

    async def run(self, *argv: str) -> tuple[int, str]:
        code = await asyncio.to_thread(run, ["keys", *argv, "--data", str(self.data)])
        shown = self._capsys.readouterr()
        return code, shown.out or shown.err

    async def list(self) -> list[tuple[int, str, int]]:
        _, shown = await self.run("list", "--json")
        return [(key["id"], key["state"], key["sealed"]) for key in json.loads(shown)]


@pytest.fixture
async def keys(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Keys:
    monkeypatch.setenv("DATABASE_URL", database_url)
    database = Database(database_url)
    await Vault(database, await open_key_ring(database_url, tmp_path / "keys", None)).hash_email("ada@example.org")
    await database.close()
    return Keys(database_url, tmp_path, capsys)


async def test_a_key_is_rotated_resealed_and_retired(keys: Keys) -> None:
    assert await keys.list() == [(1, "current", 1)]
    assert (await keys.run("rotate"))[0] == 0
    assert await keys.list() == [(1, "old", 1), (2, "current", 0)]
    code, said = await keys.run("retire", "1")
    assert code != 0
    assert "seals 1 values" in said
    code, said = await keys.run("reseal", "--json")
    assert (code, json.loads(said)) == (0, {"walked": 1, "resealed": 1, "damaged": 0, "left": 0})
    assert (await keys.run("reseal"))[0] == 0
    assert (await keys.run("retire", "1"))[0] == 0
    assert await keys.list() == [(1, "retired", 0), (2, "current", 1)]
    assert (await keys.run("retire", "2"))[0] != 0
    assert (await keys.run("retire", "9"))[0] == 17


async def test_the_key_encryption_key_is_replaced_in_its_file_and_by_one_from_outside(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = keys.data / "keys" / KEY_FILE
    before = file.read_text()
    assert (await keys.run("rewrap"))[0] == 0
    assert file.read_text() != before
    monkeypatch.setenv("ATRIUM_ENCRYPTION_KEY", file.read_text().strip())
    assert (await keys.run("rewrap"))[0] == 2
    fresh = keys.data / "fresh.key"
    fresh.write_text(new_key_text())
    code, said = await keys.run("rewrap", "--new-key-file", str(fresh))
    assert code == 0
    assert "1 data keys" in said
    assert (await keys.run("rotate"))[0] == 2
    monkeypatch.setenv("ATRIUM_ENCRYPTION_KEY", fresh.read_text())
    assert (await keys.run("rotate"))[0] == 0


async def test_the_data_keys_move_to_a_key_management_service_and_back(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await keys.run("rewrap", "--to-kms"))[0] == 2  # which one?
    with serving() as service:
        monkeypatch.setenv("ATRIUM_KMS_URL", service.url)
        monkeypatch.setenv("ATRIUM_KMS_TOKEN", TOKEN)
        code, said = await keys.run("rotate")
        assert code != 0
        assert "was wrapped by local:" in said
        assert (await keys.run("rewrap", "--to-kms"))[0] == 0
        assert (await keys.run("rewrap"))[0] == 2
        assert (await keys.run("rewrap", "--to-kms", "--from-kms"))[0] == 2
        assert (await keys.run("rotate"))[0] == 0
        service.status = 503
        code, said = await keys.run("rotate")
        assert code == 12
        assert "Vault is sealed" in said
        service.status = 0
        assert (await keys.run("rewrap", "--from-kms"))[0] == 0
    monkeypatch.delenv("ATRIUM_KMS_URL")
    assert (await keys.run("rotate"))[0] == 0
    assert [key for key, _, _ in await keys.list()] == [1, 2, 3]


async def test_what_operators_do_to_keys_is_in_the_audit_trail(keys: Keys) -> None:
    for argv in (("rotate",), ("reseal",), ("retire", "1"), ("rewrap",)):
        assert (await keys.run(*argv))[0] == 0
    connection = await asyncpg.connect(keys.url)
    rows = await connection.fetch("SELECT actor, action, object_id, purpose FROM audit_events ORDER BY position")
    await connection.close()
    assert [tuple(row) for row in rows] == [
        ("operator", "data_key_made", "2", "operations"),
        ("operator", "data_key_retired", "1", "operations"),
        ("operator", "data_keys_rewrapped", "", "operations"),
    ]


@pytest.mark.parametrize("argv", [("rotate",), ("retire", "1"), ("rewrap",)])
async def test_nothing_is_done_to_keys_that_the_trail_does_not_have(keys: Keys, argv: tuple[str, ...]) -> None:
    for before in (("rotate",), ("reseal",)):
        assert (await keys.run(*before))[0] == 0
    wrapped = "SELECT id, wrapped, retired_at FROM data_keys ORDER BY id"
    connection = await asyncpg.connect(keys.url)
    as_it_was = await connection.fetch(wrapped)
    await connection.execute("ALTER TABLE audit_events RENAME TO full_disk")
    assert (await keys.run(*argv))[0] == 12
    assert await connection.fetch(wrapped) == as_it_was
    await connection.execute("ALTER TABLE full_disk RENAME TO audit_events")
    assert (await keys.run(*argv))[0] == 0
    assert await connection.fetch(wrapped) != as_it_was
    await connection.close()

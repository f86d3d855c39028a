"""A backup of a running installation, restored elsewhere, is what it was then; a damaged one is refused."""

import asyncio
import json
from pathlib import Path

import pytest

from cluster.cli import run
from cluster.datadir import DataDir
from cluster.stores import database_for_command
from storage.embedded.backup import INFO_FILE, BackupError, check_backup
from storage.embedded.postgres import EmbeddedPostgres
from storage.settings import Settings
from tests.cluster.trails import count_events, write_events

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_a_restored_backup_has_what_was_there_then_and_not_what_came_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, copy = tmp_path / "first", tmp_path / "second", tmp_path / "backups" / "monday"
    server = EmbeddedPostgres(DataDir(first).postgres)
    server.start()
    try:
        assert run(["backup", str(copy), "--data", str(first)]) == 2  # not migrated: there is nothing to copy
        assert run(["migrate", "--data", str(first)]) == 0
        asyncio.run(write_events(server.url, 5))
        capsys.readouterr()
        assert run(["backup", str(copy), "--data", str(first), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["audit_head"].startswith("5:")
        asyncio.run(write_events(server.url, 2))
        assert run(["backup", str(copy), "--data", str(first)]) == 12  # never over another one
    finally:
        server.stop()
    assert [path.name for path in copy.parent.iterdir()] == ["monday"]
    assert (copy / "password").stat().st_mode & 0o777 == 0o600

    assert run(["restore", str(copy), "--data", str(first)]) == 2  # never over data
    capsys.readouterr()
    assert run(["restore", str(copy), "--data", str(second)]) == 0
    said = capsys.readouterr()
    assert "5 events" in said.out
    assert "keys" in said.err
    with database_for_command(Settings(data_dir=second)) as url:
        assert asyncio.run(count_events(url)) == 5
        asyncio.run(write_events(url, 1))
    assert run(["audit", "verify", "--data", str(second)]) == 0

    for name in ("PG_VERSION", "global/pg_control", "backup_manifest"):
        file = copy / "data" / name
        whole = file.read_bytes()
        file.write_bytes(whole[:1] + bytes([whole[1] ^ 1]) + whole[2:])
        assert run(["restore", str(copy), "--data", str(tmp_path / "third")]) == 12
        file.write_bytes(whole)
    assert not DataDir(tmp_path / "third").postgres.exists()


def test_what_is_no_backup_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupError, match="is no backup"):
        check_backup(tmp_path)
    (tmp_path / INFO_FILE).write_text("{}")
    assert run(["restore", str(tmp_path), "--data", str(tmp_path / "data")]) == 12
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run(["restore", str(tmp_path), "--data", str(tmp_path / "data")]) == 2
    assert run(["backup", str(tmp_path / "new"), "--data", str(tmp_path / "data")]) == 2

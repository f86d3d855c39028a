"""The archived log of the embedded Postgres: any moment since a backup comes back, and nothing that was later."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from cluster.cli import run
from cluster.stores import database_for_command, embedded_postgres
from storage.embedded.postgres import EmbeddedPostgres
from storage.settings import Settings
from tests.cluster.trails import count_events, write_events

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Of the installation in `first`."""
    one = embedded_postgres(Settings(data_dir=tmp_path / "first"))
    one.start()
    yield one
    one.stop()


async def _write(url: str, count: int) -> datetime:
    """The moment after it was committed, by the database's clock."""
    await write_events(url, count)
    connection = await asyncpg.connect(url)
    try:
        return datetime.fromisoformat(str(await connection.fetchval("SELECT clock_timestamp()"))).astimezone(UTC)
    finally:
        await connection.close()


def _restored(folder: Path) -> int:
    with database_for_command(Settings(data_dir=folder)) as url:
        return asyncio.run(count_events(url))


def test_a_moment_between_and_the_latest_come_back_and_nothing_later(
    tmp_path: Path, server: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["--data", str(tmp_path / "first")]
    backups = tmp_path / "first" / "backups"
    assert run(["migrate", *first]) == 0
    assert run(["backup", "archive", *first]) == 2  # there is no backup yet
    assert not backups.exists()
    asyncio.run(_write(server.url, 2))
    assert run(["backup", *first]) == 0
    moment = asyncio.run(_write(server.url, 3))
    asyncio.run(_write(server.url, 4))
    assert run(["backup", "archive", *first]) == 0
    asyncio.run(_write(server.url, 5))  # only in the log that is being written
    capsys.readouterr()
    assert run(["backup", "list", "--json", *first]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["log_up_to"] > listed["whole_at"]
    assert listed["warning"] == ""

    then, latest, all_of_it = tmp_path / "then", tmp_path / "latest", tmp_path / "all"
    assert run(["restore", str(backups), "--to-time", moment.isoformat(), "--data", str(then)]) == 0
    assert _restored(then) == 5
    assert run(["audit", "verify", "--data", str(then)]) == 0
    assert run(["restore", str(backups), "--to-latest", "--data", str(latest)]) == 0
    assert _restored(latest) == 9
    server.stop()
    logs = ["--wal", str(backups / "wal"), "--wal", str(server.data / "pg_wal")]
    assert run(["restore", str(backups), "--to-latest", *logs, "--data", str(all_of_it)]) == 0
    assert _restored(all_of_it) == 14


def test_a_time_that_cannot_be_reached_is_told_and_leaves_nothing(
    tmp_path: Path, server: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = ["--data", str(tmp_path / "first")], tmp_path / "other"
    backups = tmp_path / "first" / "backups"
    assert run(["migrate", *first]) == 0
    before = asyncio.run(_write(server.url, 1))
    assert run(["backup", *first]) == 0
    asyncio.run(_write(server.url, 1))
    assert run(["backup", "archive", *first]) == 0
    for time, said in (
        (before.isoformat(), "no backup that was whole by"),
        (datetime(2999, 1, 1, tzinfo=UTC).isoformat(), "nothing later than"),
    ):
        capsys.readouterr()
        assert run(["restore", str(backups), "--to-time", time, "--data", str(other)]) == 12
        assert said in " ".join(capsys.readouterr().err.split())
    for arguments in (["--to-time", "yesterday"], ["--to-time", "2026-11-21T05:30:00"]):
        assert run(["restore", str(backups), *arguments, "--data", str(other)]) == 2
    both = ["--to-time", before.isoformat(), "--to-latest"]
    assert run(["restore", str(backups), *both, "--data", str(other)]) == 2
    assert run(["restore", str(backups), "--to-latest", "--wal", str(tmp_path / "x"), "--data", str(other)]) == 12
    assert [path.name for path in other.iterdir()] == ["lock"]


def test_pruning_keeps_the_newest_backups_and_the_log_that_they_need(
    tmp_path: Path, server: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["--data", str(tmp_path / "first")]
    backups = tmp_path / "first" / "backups"
    assert run(["migrate", *first]) == 0
    for name in ("one", "two", "three"):
        assert run(["backup", str(backups / name), *first]) == 0
        asyncio.run(_write(server.url, 1))
        assert run(["backup", "archive", *first]) == 0
    capsys.readouterr()
    assert run(["backup", "prune", "--keep", "2", "--json", *first]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["backups"] == ["one"]
    assert done["segments"] >= 1
    assert {path.name for path in backups.iterdir()} == {"two", "three", "wal"}
    assert run(["backup", "verify", *first]) == 0
    assert run(["restore", str(backups / "two"), "--to-latest", "--data", str(tmp_path / "other")]) == 0
    assert _restored(tmp_path / "other") == 3
    damaged = backups / "three" / "data" / "PG_VERSION"
    damaged.write_text("17\n")
    capsys.readouterr()
    assert run(["backup", "verify", *first]) == 1
    assert "three" in capsys.readouterr().out

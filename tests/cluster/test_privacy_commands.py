"""`atrium retention` and `atrium export`: what they print, what they refuse."""

import asyncio
import json
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from actors.runtime.clock import SystemClock
from cluster.cli import run
from cluster.commands.retention import CONSOLE
from domain.ids import new_id
from services.accounts.accounts import postgres_stores
from services.jobs.running import JobRunner, Work
from services.privacy.retention_rules import KEPT, RULES
from storage.accounts.records import UserRecord, UserStatus
from storage.data_keys import open_key_ring
from storage.db import Database
from storage.jobs import JobTables
from tests.conditions import until

pytestmark = pytest.mark.stack

Capture = pytest.CaptureFixture[str]


@pytest.fixture
async def person(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Somebody in the database, which the commands use from now on."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ATRIUM_DATA_DIR", str(tmp_path))
    keys = await open_key_ring(database_url, tmp_path / "keys", None)
    database = Database(database_url)
    user_id = new_id()
    user = UserRecord(
        id=user_id,
        email="grace@hopper.example",
        name="Grace",
        status=UserStatus.ACTIVE,
        created_at_ms=1,
        updated_at_ms=1,
    )
    assert await postgres_stores(database, keys).users.add_user(user)
    await database.close()
    return user_id


async def _run(*argv: str) -> int:
    return await asyncio.to_thread(run, argv)


async def test_the_rules_are_listed_with_what_never_runs_out(person: str, capsys: Capture) -> None:
    assert await _run("retention", "rules") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*(rule.name for rule in RULES), *KEPT))
    assert await _run("retention", "rules", "--json") == 0
    assert json.loads(capsys.readouterr().out)["days"]["logins"] == 180


async def test_a_file_of_ones_own_changes_the_rules_and_nonsense_is_refused(
    person: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "retention.toml"
    monkeypatch.setenv("ATRIUM_RETENTION_FILE", str(file))
    file.write_text('[days]\nlogins = 7\njobs = "never"\n')
    assert await _run("retention", "rules", "--json") == 0
    days = json.loads(capsys.readouterr().out)["days"]
    assert (days["logins"], days["jobs"]) == (7, "never")
    file.write_text("[days]\nlogin = 7\n")
    assert await _run("retention", "run", "--dry-run") == 2
    assert "no rule login" in capsys.readouterr().err


async def test_a_dry_run_counts_without_anything_running(person: str, capsys: Capture) -> None:
    assert await _run("retention", "run", "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["dry_run"]
    assert said["rules"]["logins"] == {"days": 180, "count": 0}


async def test_a_run_waits_for_the_reactor_and_prints_what_ran_out(
    person: str, capsys: Capture, database_url: str
) -> None:
    database = Database(database_url)
    store = JobTables(database)

    async def handler(work: Work) -> dict[str, object]:
        assert work.job.owner == CONSOLE
        return {"dry_run": False, "rules": {"logins": {"days": 180, "count": 42}}}

    command = asyncio.ensure_future(_run("retention", "run"))
    runner = JobRunner(store, {"retention": handler}, SystemClock())

    async def taken_up() -> bool:
        return await runner.run_due("reactor") == 1

    await until(taken_up, "the command has started its job")
    assert await command == 0
    shown = capsys.readouterr().out
    assert any(line.split()[:3] == ["logins", "180", "42"] for line in shown.splitlines())
    await database.close()


async def test_a_hold_is_placed_listed_and_released(person: str, capsys: Capture) -> None:
    assert await _run("retention", "hold", person, "--reason", "case 17") == 0
    assert await _run("retention", "hold", person, "--reason", "again") == 2
    capsys.readouterr()
    assert await _run("retention", "holds", "--json") == 0
    (held,) = json.loads(capsys.readouterr().out)
    assert (held["user_id"], held["reason"]) == (person, "case 17")
    assert await _run("retention", "release", person) == 0
    assert await _run("retention", "release", person) == 17
    assert await _run("retention", "hold", new_id(), "--reason", "x") == 17
    assert await _run("retention", "hold", person, "--reason", "") == 2


async def test_a_masked_export_is_a_new_file_for_its_owner_and_only_masked(
    person: str, capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "copy.zip"
    assert await _run("export", str(file)) == 2
    assert not file.exists()
    assert await _run("export", "--masked", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"]["users"] == 1
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        users = archive.read("users.jsonl").decode()
    assert "hopper" not in users
    assert "Grace" not in users
    assert person not in users
    assert await _run("export", "--masked", str(file)) == 2


async def test_an_export_that_fails_leaves_no_file(
    person: str, capsys: Capture, tmp_path: Path, database_url: str
) -> None:
    await _renamed(database_url, "users", "people")
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(ProgrammingError):
        await _run("export", "--masked", str(folder / "copy.zip"))
    assert list(folder.iterdir()) == []


async def test_no_hold_is_placed_or_released_without_the_trail(person: str, capsys: Capture, database_url: str) -> None:
    async def held() -> bool:
        capsys.readouterr()
        assert await _run("retention", "holds", "--json") == 0
        return bool(json.loads(capsys.readouterr().out))

    for argv, after in ((("hold", person, "--reason", "case 17"), True), (("release", person), False)):
        await _renamed(database_url, "audit_events", "full_disk")
        with pytest.raises(ProgrammingError):
            await _run("retention", *argv)
        assert await held() is not after
        await _renamed(database_url, "full_disk", "audit_events")
        assert await _run("retention", *argv) == 0
        assert await held() is after


async def test_no_account_is_made_without_the_trail(
    person: str, capsys: Capture, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("user", "create", "--email", "ada@example.test", "--name", "Ada", "--password-stdin")
    await _renamed(database_url, "audit_events", "full_disk")
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery 9\n"))
    with pytest.raises(ProgrammingError):
        await _run(*argv)
    await _renamed(database_url, "full_disk", "audit_events")
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery 9\n"))
    assert await _run(*argv) == 0  # the address is free


async def _renamed(url: str, table: str, to: str) -> None:
    database = Database(url)
    async with database.session() as session:
        await session.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))
    await database.close()

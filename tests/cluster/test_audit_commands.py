"""`atrium audit`: the exit code says whether the trail is what was written, and the first wrong position is named."""

import asyncio
import json

import pytest
import sqlalchemy as sa

from cluster.cli import run
from storage.db import Database
from tests.cluster.trails import write_events

pytestmark = pytest.mark.stack


async def _tamper(url: str) -> None:
    database = Database(url)
    async with database.session() as session:
        for statement in (
            "ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay",
            "UPDATE audit_events SET actor = 'nobody' WHERE position = 3",
        ):
            await session.execute(sa.text(statement))
    await database.close()


@pytest.fixture
async def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database_url)
    await write_events(database_url, 5)
    return database_url


async def _run(*argv: str) -> int:
    return await asyncio.to_thread(run, argv)


async def test_a_right_trail_ends_with_0_and_an_altered_row_with_1_and_its_position(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await _run("audit", "verify") == 0
    assert "5 events are right" in capsys.readouterr().out
    await _tamper(url)
    assert await _run("audit", "verify") == 1
    shown = capsys.readouterr().out
    assert "2 events are right" in shown
    assert "broken at position 3" in shown
    assert await _run("audit", "verify", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["checked"], said["broken_at"], said["reason"]) == (False, 2, 3, "altered")
    assert await _run("audit", "verify", "--after", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["checked"] == 2


async def test_a_head_that_was_kept_is_looked_for(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await _run("audit", "head") == 0
    kept = capsys.readouterr().out.strip()
    await write_events(url, 2)
    assert await _run("audit", "verify", "--head", kept) == 0
    position, _, digest = kept.partition(":")
    assert position == "5"
    assert await _run("audit", "verify", "--head", f"9:{digest}") == 1
    assert await _run("audit", "verify", "--head", f"5:{'00' * 32}") == 1
    assert "made anew" in capsys.readouterr().out
    assert await _run("audit", "verify", "--head", "5") == 2

"""`atrium user`: the first admin of an installation, and what they do who have lost their second factors."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.access.check import may
from services.access.policy import Permission
from services.accounts.accounts import Accounts, postgres_stores
from services.audit import Audit
from services.tokens import Tokens
from storage.accounts.factor_records import TotpRecord
from storage.data_keys import open_key_ring
from storage.db import Database
from storage.settings import Settings
from tests.cluster.test_cli import ROOT
from tests.serve.clinic import MemoryAudit
from tests.serve.house import SIGNING_KEY, ManualClock
from tests.services.accounts.people import PASSWORD, Mailbox

pytestmark = pytest.mark.stack

ADMIN = ("--email", "ada@example.test", "--name", "Ada", "--admin")


def _create(data: Path, url: str, password: str, *more: str) -> subprocess.CompletedProcess[str]:
    return _run(data, url, "create", *ADMIN, "--password-stdin", *more, given=f"{password}\n")


def _run(data: Path, url: str, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cluster", "user", *command, "--data", str(data)]
    environment = os.environ | {"DATABASE_URL": url}
    return subprocess.run(
        argv, input=given, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, env=environment
    )


async def test_the_first_admin_logs_in_and_runs_the_platform(tmp_path: Path, database_url: str) -> None:
    weak = await asyncio.to_thread(_create, tmp_path, database_url, "password1234")
    assert weak.returncode == 2
    assert "too easy to guess" in weak.stderr.lower()
    made = await asyncio.to_thread(_create, tmp_path, database_url, PASSWORD, "--json")
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    again = await asyncio.to_thread(_create, tmp_path, database_url, PASSWORD)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)

    database, clock = Database(database_url, Settings(data_dir=tmp_path)), ManualClock()
    keys = await open_key_ring(database_url, tmp_path / "keys", None)
    tokens = Tokens(clock, signing=SIGNING_KEY)
    stores, audit = postgres_stores(database, keys), Audit(MemoryAudit(), clock)
    accounts = Accounts(stores, tokens, Mailbox(), audit, clock, sender="a@example.test")
    try:
        opened = await accounts.logins.login("ada@example.test", PASSWORD)
    finally:
        await accounts.close()
        await database.close()
    assert may(tokens.verify(opened.access_token).actor, Permission.PLATFORM_RUN)


async def test_an_admin_who_lost_their_factors_gets_in_again(tmp_path: Path, database_url: str) -> None:
    made = await asyncio.to_thread(_create, tmp_path, database_url, PASSWORD, "--json")
    user_id = json.loads(made.stdout)["id"]
    database, clock = Database(database_url, Settings(data_dir=tmp_path)), ManualClock()
    stores = postgres_stores(database, await open_key_ring(database_url, tmp_path / "keys", None))
    app = TotpRecord(id=user_id, user_id=user_id, name="", secret="A" * 32, created_at_ms=clock.now_ms())
    try:
        assert await stores.factors.put_totp(app)
        await stores.factors.confirm_totp(app.id, 1, (b"#" * 32,), clock.now_ms())
        reset = ("reset-factors", "--reason", "phone lost", "--json", "--email")
        nobody = await asyncio.to_thread(_run, tmp_path, database_url, *reset, "bob@example.test")
        assert (nobody.returncode, "no account" in nobody.stderr) == (2, True)
        done = await asyncio.to_thread(_run, tmp_path, database_url, *reset, "ada@example.test")
        assert json.loads(done.stdout) == {"removed": 1}, done.stderr
        assert await stores.factors.kinds(user_id) == frozenset()
    finally:
        await database.close()

"""Jobs as Ray tasks on the whole stack: they run in processes of their own, and outlive the reactor's."""

import io
import os
import signal
import zipfile
from collections.abc import AsyncIterator

import pytest_asyncio

from actors.runtime.ray_cluster import service_pid
from domain.ids import new_id
from jobs.reactor import REACTOR
from services.accounts.accounts import postgres_stores
from storage.accounts.records import UserRecord, UserStatus
from storage.data_keys import open_key_ring
from storage.db import Database
from storage.jobs import JobTables
from storage.settings import Settings
from tests.conditions import until
from tests.integration.town import ON_THE_STACK, Town

pytestmark = ON_THE_STACK


@pytest_asyncio.fixture(loop_scope="package")
async def database(town: Town) -> AsyncIterator[Database]:
    one = Database(town.stack.run.database_url)
    yield one
    await one.close()


async def _person(town: Town, database: Database) -> str:
    """Somebody with an account."""
    keys = await open_key_ring(town.stack.run.database_url, town.stack.folder / "keys", Settings().encryption_key)
    user_id = new_id()
    user = UserRecord(
        id=user_id,
        email=f"{user_id}@example.com",
        name="Grace Hopper",
        status=UserStatus.ACTIVE,
        created_at_ms=1,
        updated_at_ms=1,
    )
    assert await postgres_stores(database, keys).users.add_user(user)
    return user_id


@pytest_asyncio.fixture(loop_scope="package")
async def joined(town: Town) -> AsyncIterator[None]:
    """This process as a member of the stack's Ray."""
    await town.stack.join_ray()
    yield
    await town.stack.leave_ray()


async def test_an_export_runs_as_a_task_also_when_the_reactor_is_killed(
    town: Town, database: Database, joined: None
) -> None:
    person = await _person(town, database)
    headers = town.bearer(person)
    started = await town.http.get(f"/users/{person}/export", headers=headers)
    assert started.status_code == 202, started.text
    os.kill(await service_pid(REACTOR), signal.SIGKILL)
    store = JobTables(database)

    async def ended() -> bool:
        job = await store.job(started.json()["id"])
        return job is not None and not job.live

    await until(ended, "the export has ended", within_s=60)
    shown = (await town.http.get(f"/jobs/{started.json()['id']}", headers=headers)).json()
    assert shown["status"] == "succeeded", shown
    file = await town.http.get(f"/users/{person}/export/file", headers=headers)
    assert file.status_code == 200
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        assert "Grace Hopper" in archive.read("account.json").decode()

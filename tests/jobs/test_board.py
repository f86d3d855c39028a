"""The board hands out what is due, as many as it has room for; the calendar starts what nobody asked for, once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from jobs.board import BY_CALENDAR, Calendar, JobBoard
from jobs.tasks import KINDS_OF_JOBS, handlers_of
from services.jobs.limits import JobLimits
from services.jobs.service import Jobs
from services.privacy.limits import PrivacyLimits
from storage.jobs import Advance, JobRecord
from storage.privacy.retention import RetentionTables
from storage.settings import Settings
from tests.serve.house import ManualClock
from tests.services.jobs.memory import MemoryJobs
from tests.services.privacy.household import Household, open_household

DAY_MS = 24 * 3_600_000


class Records:
    """People whose grace is over."""

    def __init__(self, *people: str) -> None:
        self.people = people
        self.asked: list[int] = []

    async def due_erasures(self, deleted_before_ms: int, limit: int) -> list[str]:
        self.asked.append(deleted_before_ms)
        return list(self.people[:limit])


async def test_a_board_claims_no_more_than_it_has_room_for() -> None:
    clock = ManualClock()
    store = MemoryJobs(clock)
    jobs = Jobs(store, clock)
    for number in range(5):
        await jobs.start("walk", str(number), owner="ada")
    go, running = asyncio.Event(), []

    async def execute(job: JobRecord, holder: str) -> None:
        running.append((job.id, holder))
        await go.wait()
        assert await store.finish(job.id, holder, "succeeded", 1, result={})

    board = JobBoard(store, ("walk",), execute, "r1", JobLimits(running_max=2))
    assert [await board.look(), await board.look()] == [2, 0]
    go.set()
    await board.settled()
    assert await board.look() == 2
    await board.settled()
    assert len(running) == 4
    assert all(holder.startswith("r1/") for _, holder in running)


async def test_a_job_whose_process_died_is_claimed_again_when_its_lease_is_over() -> None:
    clock = ManualClock()
    store = MemoryJobs(clock)
    await Jobs(store, clock).start("walk", "a", owner="ada")

    async def dies(job: JobRecord, holder: str) -> None:
        raise ConnectionError

    board = JobBoard(store, ("walk",), dies, "r1", JobLimits(lease_seconds=30.0))
    assert await board.look() == 1
    await board.settled()
    assert await board.look() == 0
    clock.advance(seconds=31)
    assert await board.look() == 1
    await board.settled()


async def test_an_attempt_whose_lease_ran_out_is_not_taken_for_the_next_one_of_the_same_board() -> None:
    clock = ManualClock()
    store = MemoryJobs(clock)
    started = await Jobs(store, clock).start("walk", "a", owner="ada")
    go, holders = asyncio.Event(), []

    async def execute(job: JobRecord, holder: str) -> None:
        holders.append(holder)
        await go.wait()

    board = JobBoard(store, ("walk",), execute, "r1", JobLimits(lease_seconds=30.0))
    assert await board.look() == 1
    clock.advance(seconds=31)  # it lives, and could not renew its lease: the database was away
    assert await board.look() == 1
    go.set()
    await board.settled()
    first, second = holders
    assert await store.advance(started.id, first, 30.0, Advance(done=1)) is None
    assert not await store.finish(started.id, first, "succeeded", 1, result={})
    assert await store.advance(started.id, second, 30.0, Advance(done=1)) is not None


async def test_the_calendar_starts_each_erasure_and_each_days_retention_once() -> None:
    clock, person = ManualClock(), new_id()
    store, records = MemoryJobs(clock), Records(person)
    calendar = Calendar(Jobs(store, clock), records, clock, PrivacyLimits())  # type: ignore[arg-type]
    for _ in range(2):
        await calendar.look()
    started = {(job.kind, job.key, job.owner, job.person) for job in store.rows.values()}
    assert started == {
        ("user_erasure", person, BY_CALENDAR, person),
        ("retention", "2026-03-01", BY_CALENDAR, ""),
    }
    assert len(store.rows) == 2
    assert records.asked[0] == clock.now_ms() - 30 * DAY_MS
    clock.advance(seconds=24 * 3_600)
    await calendar.look()
    assert {job.key for job in store.rows.values() if job.kind == "retention"} == {"2026-03-01", "2026-03-02"}


@pytest.fixture
async def household(database_url, tmp_path) -> AsyncIterator[Household]:
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


@pytest.mark.stack
async def test_every_kind_of_job_has_a_handler_that_runs(household: Household, tmp_path) -> None:
    settings = Settings(data_dir=tmp_path)
    handlers = handlers_of(household.database, household.journal, household.keys, household.client, settings)
    assert set(handlers) == set(KINDS_OF_JOBS)
    clock = ManualClock()
    clock.ms = await RetentionTables(household.database).now_ms()
    jobs = Jobs(household.store, clock)
    await jobs.start("retention", "today", owner=BY_CALENDAR, params={"dry_run": False})
    await jobs.start("user_export", household.grace, owner=household.grace, person=household.grace)

    async def execute(job: JobRecord, holder: str) -> None:
        await household.run(job, holder, handlers)

    async with household.database.session() as session:
        await session.execute(sa.text("UPDATE jobs SET due_at = now()"))
    board = JobBoard(household.store, KINDS_OF_JOBS, execute, "r1")
    assert await board.look() == 2
    await board.settled()
    assert {job.status for job in await household.store.jobs("", "", 10)} == {"succeeded"}

"""Jobs: started once, run by one at a time, taken up again after a death, called off. On memory and on Postgres."""

import asyncio

import pytest

from actors.runtime.clock import SystemClock
from actors.runtime.entity import Actor
from domain.errors import Conflict, NotFound
from domain.ids import new_id
from services.jobs.limits import JobLimits
from services.jobs.running import JobRunner
from services.jobs.service import Jobs
from storage.db import Database
from storage.jobs import Advance, JobTables
from tests.services.jobs.memory import MemoryJobs

LIMITS = JobLimits(lease_seconds=30.0, attempts_max=2, backoff_seconds=0.0)
ADA, BOB, PLATFORM = Actor(new_id(), ("customer",)), Actor(new_id(), ("customer",)), Actor(new_id(), ("admin",))
AT_ONCE = -1.0
"""A lease that is over when it begins: its holder has died."""


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def url(request):
    """ "" for memory."""
    return "" if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def store(url):
    if not url:
        yield MemoryJobs(SystemClock())
        return
    database = Database(url)
    yield JobTables(database)
    await database.close()


@pytest.fixture
def jobs(store):
    return Jobs(store, SystemClock())


def runner(store, **handlers):
    return JobRunner(store, handlers, SystemClock(), LIMITS)


async def test_a_job_runs_with_its_params_and_keeps_its_result(store, jobs):
    started = await jobs.start("count", "a", owner=ADA.subject, params={"to": 3})

    async def count(work):
        for number in range(work.job.params["to"]):
            await work.advance(done=number + 1, total=3, step="counting")
        return {"counted": 3}

    assert await runner(store, count=count).run_due("p1") == 1
    ended = await jobs.get(ADA, started.id)
    assert (ended.status, ended.result, ended.done, ended.total) == ("succeeded", {"counted": 3}, 3, 3)
    assert ended.step == "counting"
    assert ended.finished_at_ms >= ended.started_at_ms > 0
    assert await runner(store, count=count).run_due("p1") == 0


async def test_starting_again_gives_the_live_job_and_after_its_end_a_new_one(store, jobs):
    first, second = await asyncio.gather(
        *(jobs.start("count", "a", owner=ADA.subject) for _ in range(2)),
    )
    assert first.id == second.id
    assert (await jobs.start("count", "b", owner=ADA.subject)).id != first.id

    async def nothing(_work):
        return {}

    assert await runner(store, count=nothing).run_due("p1", 10) == 2
    assert (await jobs.start("count", "a", owner=ADA.subject, once=True)).id == first.id
    assert (await jobs.start("count", "a", owner=ADA.subject)).id != first.id


async def test_a_job_whose_process_died_is_taken_up_where_its_checkpoint_is(store, jobs):
    started = await jobs.start("walk", "a", owner=ADA.subject)
    (claimed,) = await store.claim(("walk",), "dead", AT_ONCE, 1)
    assert await store.advance(claimed.id, "dead", AT_ONCE, Advance(done=1, checkpoint={"after": "x"})) is not None
    seen = []

    async def walk(work):
        seen.append((work.job.attempts, work.job.checkpoint, work.job.done))
        return {}

    assert await runner(store, walk=walk).run_due("p2") == 1
    assert seen == [(2, {"after": "x"}, 1)]
    assert (await jobs.get(ADA, started.id)).status == "succeeded"


async def test_who_lost_a_job_neither_advances_nor_ends_it(store, jobs):
    started = await jobs.start("walk", "a", owner=ADA.subject)
    await store.claim(("walk",), "dead", AT_ONCE, 1)
    await store.claim(("walk",), "alive", 30.0, 1)
    assert await store.advance(started.id, "dead", 30.0, Advance(done=9)) is None
    assert not await store.finish(started.id, "dead", "succeeded", 1, result={})
    assert not await store.again(started.id, "dead", 0.0, "x")
    assert (await jobs.get(ADA, started.id)).status == "running"


async def test_a_claimed_job_is_nobody_elses_while_its_lease_lasts(store, jobs):
    await jobs.start("walk", "a", owner=ADA.subject)
    both = await asyncio.gather(*(store.claim(("walk",), f"p{n}", 30.0, 5) for n in range(4)))
    assert sum(map(len, both)) == 1


async def test_what_fails_is_tried_again_and_given_up_in_the_end_without_its_text(store, jobs):
    started = await jobs.start("fail", "a", owner=ADA.subject)

    async def fail(_work):
        raise RuntimeError("ada@example.com")

    one = runner(store, fail=fail)
    assert await one.run_due("p1") == 1
    assert (await jobs.get(ADA, started.id)).status == "queued"
    assert await one.run_due("p1") == 1
    ended = await jobs.get(ADA, started.id)
    assert (ended.status, ended.error, ended.attempts) == ("failed", "RuntimeError", 2)


async def test_a_job_that_kills_its_process_again_and_again_is_given_up(store, jobs):
    started = await jobs.start("kill", "a", owner=ADA.subject)
    for _ in range(LIMITS.attempts_max):
        assert len(await store.claim(("kill",), "dead", AT_ONCE, 1)) == 1

    async def kill(_work):
        raise AssertionError("run once too often")

    assert await runner(store, kill=kill).run_due("p1") == 1
    ended = await jobs.get(ADA, started.id)
    assert (ended.status, ended.error) == ("failed", "process_died")


async def test_a_queued_job_is_called_off_at_once_and_a_running_one_when_it_looks(store, jobs):
    waiting = await jobs.start("walk", "a", owner=ADA.subject)
    assert (await jobs.cancel(ADA, waiting.id)).status == "cancelled"
    assert (await jobs.cancel(ADA, waiting.id)).status == "cancelled"
    running = await jobs.start("walk", "b", owner=ADA.subject)

    async def walk(work):
        assert (await jobs.cancel(ADA, running.id)).cancel_wanted
        await work.advance(done=1)
        raise AssertionError("went on")

    assert await runner(store, walk=walk).run_due("p1") == 1
    assert (await jobs.get(ADA, running.id)).status == "cancelled"


async def test_an_ended_job_cannot_be_called_off_nor_an_erasure_that_runs(store, jobs):
    ended = await jobs.start("walk", "a", owner=ADA.subject)

    async def walk(_work):
        return {}

    await runner(store, walk=walk).run_due("p1")
    with pytest.raises(Conflict) as refused:
        await jobs.cancel(ADA, ended.id)
    assert refused.value.failure.code == "job_ended"
    erasing = await jobs.start("user_erasure", "a", owner=ADA.subject)
    await store.claim(("user_erasure",), "p1", 30.0, 1)
    with pytest.raises(Conflict) as refused:
        await jobs.cancel(ADA, erasing.id)
    assert refused.value.failure.code == "job_under_way"


async def test_an_erasure_that_has_begun_is_not_called_off_while_it_waits_for_its_next_attempt(store, jobs):
    erasing = await jobs.start("user_erasure", "a", owner=ADA.subject)

    async def fails(_work):
        raise ConnectionError

    await runner(store, user_erasure=fails).run_due("p1")
    assert (await jobs.get(ADA, erasing.id)).status == "queued"
    with pytest.raises(Conflict) as refused:
        await jobs.cancel(ADA, erasing.id)
    assert refused.value.failure.code == "job_under_way"
    assert (await jobs.get(ADA, erasing.id)).status == "queued"


async def test_an_erasure_that_is_taken_up_while_somebody_calls_it_off_goes_on(store, jobs):
    erasing = await jobs.start("user_erasure", "a", owner=ADA.subject)
    looked = store.job

    async def taken_up_behind(job_id):
        found = await looked(job_id)
        await store.claim(("user_erasure",), "p1", 30.0, 1)
        return found

    store.job = taken_up_behind
    with pytest.raises(Conflict) as refused:
        await jobs.cancel(ADA, erasing.id)
    assert refused.value.failure.code == "job_under_way"
    assert not (await looked(erasing.id)).cancel_wanted


async def test_a_job_that_is_due_later_waits(store, jobs):
    later = SystemClock().now_ms() + 60_000
    started = await jobs.start("walk", "a", owner=ADA.subject, due_at_ms=later)
    assert await store.claim(("walk",), "p1", 30.0, 1) == []
    await jobs.call_off("walk", "a")
    assert (await jobs.get(ADA, started.id)).status == "cancelled"


async def test_only_who_started_it_and_who_runs_the_platform_know_a_job(jobs):
    mine = await jobs.start("walk", "a", owner=ADA.subject)
    other = await jobs.start("walk", "b", owner=BOB.subject)
    assert [job.id for job in await jobs.list(ADA, "", 10)] == [mine.id]
    assert [job.id for job in await jobs.list(PLATFORM, "", 10)] == [other.id, mine.id]
    assert [job.id for job in await jobs.list(PLATFORM, other.id, 10)] == [mine.id]
    assert (await jobs.get(PLATFORM, mine.id)).id == mine.id
    for refused in (jobs.get(BOB, mine.id), jobs.cancel(BOB, mine.id), jobs.get(ADA, new_id())):
        with pytest.raises(NotFound):
            await refused


async def test_a_lease_is_renewed_beside_the_work_and_its_loss_ends_that(store, jobs):
    started = await jobs.start("walk", "a", owner=ADA.subject)
    brief = JobLimits(lease_seconds=0.03, poll_seconds=0.01)
    begun, beats = asyncio.Event(), []

    async def walk(work):
        begun.set()
        advance = work.advance

        async def counted(**progress):
            beats.append(1)
            await advance(**progress)

        work.advance = counted
        await asyncio.Event().wait()

    running = asyncio.ensure_future(JobRunner(store, {"walk": walk}, SystemClock(), brief).run_due("p1"))
    await begun.wait()
    await jobs.cancel(ADA, started.id)
    assert await running == 1
    assert beats
    assert (await jobs.get(ADA, started.id)).status == "cancelled"

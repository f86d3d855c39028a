import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from storage.crypto import KeyRing
from storage.db import Database
from storage.idempotency import Attempt, Earlier, IdempotencyTable
from storage.models import IdempotencyKey
from tests.serve.keyed_answers import MemoryKeyedAnswers

NOW = 1_772_357_400_000
DAY = 86_400_000


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def table(request: pytest.FixtureRequest) -> IdempotencyTable | MemoryKeyedAnswers:
    """One suite for the table and for what stands for it in tests."""
    if request.param == "memory":
        return MemoryKeyedAnswers()
    return IdempotencyTable(request.getfixturevalue("database"), KeyRing.ephemeral())


def attempt(key: bytes = b"k" * 32, request: bytes = b"r" * 32, now: int = NOW) -> Attempt:
    return Attempt(
        key=key, request=request, id=new_id(), now_ms=now, running_until_ms=now + 60_000, expires_at_ms=now + DAY
    )


async def test_the_first_runs_and_repeats_get_its_answer(table) -> None:
    first = attempt()
    assert await table.begin(first) is None
    assert await table.begin(attempt()) == Earlier(b"r" * 32, None), "it is still running"
    await table.finish(first.key, first.id, b"answer")
    assert await table.begin(attempt(request=b"x" * 32)) == Earlier(b"r" * 32, b"answer")
    assert await table.begin(attempt(b"other" + b"k" * 27)) is None


async def test_of_many_at_once_one_runs(table) -> None:
    begun = await asyncio.gather(*(table.begin(attempt()) for _ in range(8)))
    assert begun.count(None) == 1


async def test_a_key_that_came_to_nothing_is_free_again(table) -> None:
    first = attempt()
    await table.begin(first)
    await table.forget(first.key, first.id)
    assert await table.begin(attempt(request=b"x" * 32)) is None


async def test_who_never_answered_is_replaced_and_changes_nothing_any_more(table) -> None:
    lost, late = attempt(), attempt(now=NOW + 60_000)
    await table.begin(lost)
    assert await table.begin(attempt(now=NOW + 59_999)) == Earlier(b"r" * 32, None)
    assert await table.begin(late) is None
    await table.finish(lost.key, lost.id, b"lost")
    await table.forget(lost.key, lost.id)
    await table.finish(late.key, late.id, b"late")
    assert await table.begin(attempt(now=NOW + 61_000)) == Earlier(b"r" * 32, b"late")


async def test_after_a_day_a_key_is_new_and_the_old_row_is_pruned(table) -> None:
    first = attempt()
    await table.begin(first)
    await table.finish(first.key, first.id, b"answer")
    assert await table.begin(attempt(now=NOW + DAY - 1)) == Earlier(b"r" * 32, b"answer")
    assert await table.prune(NOW + DAY - 1) == 0
    assert await table.prune(NOW + DAY) == 1
    assert await table.begin(attempt(now=NOW + DAY)) is None


@pytest.mark.stack
async def test_no_hash_of_what_was_asked_lies_open(database: Database) -> None:
    """Bodies have passwords: by a bare hash a thief of the database would try billions of them a second."""
    table, first = IdempotencyTable(database, KeyRing.ephemeral()), attempt()
    await table.begin(first)
    async with database.session() as session:
        kept = (await session.scalars(sa.select(IdempotencyKey.request))).one()
    assert first.request not in kept
    assert await table.begin(attempt()) == Earlier(first.request, None)


@pytest.mark.stack
async def test_answers_lie_sealed_and_open_only_in_their_place(database: Database) -> None:
    table, first = IdempotencyTable(database, KeyRing.ephemeral()), attempt()
    await table.begin(first)
    await table.finish(first.key, first.id, b"secret of somebody")
    async with database.session() as session:
        sealed = (await session.scalars(sa.select(IdempotencyKey.answer))).one()
    assert sealed is not None
    assert b"secret" not in sealed

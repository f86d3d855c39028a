import asyncio

import pytest

from storage.journal.interface import Cursor
from storage.reactions import ReactionTables, RetryRecord
from tests.storage.journal_rows import NOW, row

pytestmark = pytest.mark.stack


@pytest.fixture
def tables(database):
    return ReactionTables(database)


async def test_a_new_reaction_starts_at_the_beginning(tables):
    assert await tables.cursor("r") == Cursor()


async def test_a_cursor_only_goes_forward(tables):
    await tables.advance("r", Cursor(10, 5))
    await tables.advance("r", Cursor(9, 99))
    assert await tables.cursor("r") == Cursor(10, 5)
    await tables.advance("r", Cursor(11, 1))
    assert await tables.cursor("r") == Cursor(11, 1)
    assert await tables.cursor("other") == Cursor()


async def test_one_holder_at_a_time_runs_a_reaction(tables):
    assert await tables.acquire("r", "a", 60)
    assert await tables.acquire("r", "a", 60)
    assert not await tables.acquire("r", "b", 60)
    assert await tables.acquire("other", "b", 60)
    await tables.release("r", "b")
    assert not await tables.acquire("r", "b", 60)
    await tables.release("r", "a")
    assert await tables.acquire("r", "b", 60)


async def test_a_lease_that_ran_out_is_taken_over(tables):
    assert await tables.acquire("r", "dead", -1)
    assert await tables.acquire("r", "b", 60)


async def test_of_many_that_ask_at_once_one_gets_the_lease(tables):
    answers = await asyncio.gather(*(tables.acquire("r", name, 60) for name in "abcd"))
    assert sorted(answers) == [False, False, False, True]


async def test_taking_a_lease_keeps_the_cursor(tables):
    await tables.advance("r", Cursor(10, 5))
    await tables.acquire("r", "a", 60)
    assert await tables.cursor("r") == Cursor(10, 5)


async def test_only_the_earliest_version_of_an_entity_is_due(tables):
    await tables.set_aside("r", row("a", 2), 1, NOW, "later one")
    await tables.set_aside("r", row("a", 1), 1, NOW + 50, "first")
    await tables.set_aside("r", row("b", 7), 2, NOW - 1, "other")
    assert await tables.due("r", NOW, 10) == [RetryRecord("cart", "b", 7, 2)]
    assert await tables.due("r", NOW + 50, 10) == [RetryRecord("cart", "b", 7, 2), RetryRecord("cart", "a", 1, 1)]
    assert await tables.due("r", NOW + 50, 1) == [RetryRecord("cart", "b", 7, 2)]
    assert await tables.due("other", NOW + 50, 10) == []
    assert await tables.blocked("r") == {("cart", "a"), ("cart", "b")}


async def test_what_is_done_makes_room_for_the_next_version(tables):
    await tables.set_aside("r", row("a", 1), 1, NOW, "x")
    await tables.set_aside("r", row("a", 2), 0, NOW, "waits")
    await tables.done("r", "cart", "a", 1)
    assert await tables.due("r", NOW, 10) == [RetryRecord("cart", "a", 2, 0)]
    await tables.done("r", "cart", "a", 2)
    assert await tables.blocked("r") == set()


async def test_attempts_are_never_forgotten_by_a_repeat(tables):
    """After a crash before the cursor was stored, the same rows come again."""
    await tables.set_aside("r", row("a", 1), 3, NOW + 100, "x")
    await tables.set_aside("r", row("a", 1), 0, NOW, "waits")
    assert await tables.due("r", NOW, 10) == []
    assert await tables.due("r", NOW + 100, 10) == [RetryRecord("cart", "a", 1, 3)]


async def test_a_parked_row_is_a_dead_letter_and_waits_no_more(tables):
    await tables.set_aside("r", row("a", 1), 7, NOW, "x")
    await tables.park("r", row("a", 1), 8, "boom " * 1_000)
    assert await tables.blocked("r") == set()
    (letter,) = await tables.list("", 10)
    assert (letter.reaction, letter.kind, letter.entity_id, letter.version) == ("r", "cart", "a", 1)
    assert (letter.attempts, letter.error[:5], len(letter.error)) == (8, "boom ", 2_000)
    assert await tables.get(letter.id) == letter
    assert await tables.count() == 1


async def test_parking_again_keeps_one_letter(tables):
    await tables.park("r", row("a", 1), 8, "first")
    await tables.park("r", row("a", 1), 8, "second")
    (letter,) = await tables.list("", 10)
    assert letter.error == "second"


async def test_dead_letters_page_oldest_first(tables):
    for version in range(1, 6):
        await tables.park("r", row("a", version), 8, "x")
    first = await tables.list("", 2)
    rest = await tables.list(first[-1].id, 10)
    assert [one.version for one in first + rest] == [1, 2, 3, 4, 5]


async def test_a_dead_letter_is_tried_again_with_its_attempts_counted_anew(tables):
    await tables.park("r", row("a", 1), 8, "x")
    (letter,) = await tables.list("", 10)
    assert await tables.retry(letter.id)
    assert not await tables.retry(letter.id)
    assert await tables.get(letter.id) is None
    assert await tables.due("r", 2**42, 10) == [RetryRecord("cart", "a", 1, 0)]

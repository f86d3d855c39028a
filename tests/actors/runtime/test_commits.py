"""Commits that are refused, whose outcome is unknown, or that are too large for one."""

import asyncio

import pytest

from domain.errors import (
    Internal,
)
from storage.journal.interface import CommitRefused, CommitUnknown
from tests.actors.runtime.counter import OWNER, Add, Explode, Join
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual


@virtual
async def test_an_unknown_commit_that_was_written_is_acknowledged_once_with_its_first_result():
    async with Rig() as rig:
        rig.gate.after.append(CommitUnknown("lost"))
        answer = await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        assert (answer.version, answer.duplicate, answer.data) == (1, True, {"total": 5})
        assert len(rig.rows("a")) == 1


@virtual
async def test_an_unknown_commit_that_was_not_written_is_executed_again():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.before.append(OSError("connection refused"))
        answer = await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        assert (answer.version, answer.duplicate, answer.data) == (2, False, {"total": 6})


@virtual
async def test_an_entity_is_not_loaded_while_an_unknown_commit_may_still_land():
    """The flush before the load can itself end in an unknown outcome."""
    async with Rig(commit_rows_max=1) as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "a", Add(10), actor=OWNER))
        await asyncio.sleep(0.01)
        poison = asyncio.create_task(rig.client.ask("counter", "a", Explode("apply"), actor=OWNER))
        await asyncio.sleep(0.01)
        rig.gate.after.append(CommitUnknown("lost"))
        late = asyncio.create_task(rig.client.ask("counter", "a", Add(100), actor=OWNER))
        await asyncio.sleep(0.01)
        rig.gate.open.set()
        assert (await first).data == {"total": 11}
        assert (await late).data == {"total": 111}
        with pytest.raises(Internal):
            await poison


@virtual
async def test_what_the_database_refuses_of_one_entity_does_not_touch_others():
    async with Rig() as rig:
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "x", Add(1), actor=OWNER))
        await turns_of_the_loop()
        asks = {key: asyncio.create_task(rig.client.ask("counter", key, Add(1), actor=OWNER)) for key in "abc"}
        await turns_of_the_loop()

        async def refuse_b(rows):
            if any(row.id == "b" for row in rows):
                raise CommitRefused("a constraint")

        rig.gate.in_transaction = refuse_b
        rig.gate.open.set()
        await first
        results = await asyncio.gather(*asks.values(), return_exceptions=True)
        assert [getattr(result, "version", None) for result in results] == [1, None, 1]
        assert isinstance(results[1], Internal)
        assert results[1].failure.code == "commit_refused"


@virtual
async def test_what_the_database_refuses_of_one_turn_does_not_fail_the_other_turns_of_its_entity():
    async with Rig() as rig:
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await turns_of_the_loop()
        amounts = [10, 666, 100]
        asks = [asyncio.create_task(rig.client.ask("counter", "a", Add(amount), actor=OWNER)) for amount in amounts]
        await turns_of_the_loop()

        async def refuse_666(rows):
            if any(b"\xcd\x02\x9a" in row.payload.split(b"total")[0] for row in rows):
                raise CommitRefused("a constraint")

        rig.gate.in_transaction = refuse_666
        rig.gate.open.set()
        await first
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert [getattr(result, "data", None) for result in results] == [{"total": 11}, None, {"total": 111}]
        assert results[1].failure.code == "commit_refused"


@virtual
async def test_a_flush_waits_for_every_part_of_a_refused_batch():
    async with Rig() as rig:
        await asyncio.gather(*(rig.client.ask("counter", key, Add(1), actor=OWNER) for key in "abpx"))
        rig.gate.open.clear()
        commands = [("x", Add(1)), ("p", Explode("apply")), ("a", Add(1)), ("b", Add(1))]
        asks = []
        for key, command in commands:  # the poisoned one's reply belongs to no cell, as the flush
            asks.append(asyncio.create_task(rig.client.ask("counter", key, command, actor=OWNER)))
            await asyncio.sleep(0.01)
        flushed = asyncio.create_task(rig.host.writer.flush())
        await turns_of_the_loop()

        async def together_refused(rows):
            await asyncio.sleep(1)
            if len(rows) > 1:
                raise CommitRefused("one of these")

        rig.gate.in_transaction = together_refused
        rig.gate.open.set()
        await flushed
        assert rig.host._cells["counter/b"].durable == rig.host._cells["counter/b"].version == 2
        await asyncio.gather(*asks, return_exceptions=True)


@virtual
async def test_commits_are_bounded_in_bytes_too():
    async with Rig(commit_bytes_max=1_000) as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.open.clear()
        asked = [asyncio.create_task(rig.client.ask("counter", "a", Join("g" * 400), actor=OWNER)) for _ in range(9)]
        await turns_of_the_loop()
        rig.gate.open.set()
        await asyncio.gather(*asked)
        assert len(rig.rows("a")) == 10
        assert all(sum(len(row.payload) for row in batch) <= 1_000 for batch in rig.gate.batches)

"""Exactly once: a repeat gives the first result, whatever happened in between (invariant 4)."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.recent import RecentCommands
from actors.runtime.repeats import PAGE_ROWS
from actors.runtime.wire import COMMAND, OK, RETRY, VIEW_JSON, VIEW_MSGPACK, Envelope, Reply
from domain.errors import Conflict, Invalid
from storage.journal.interface import CommitUnknown
from tests.actors.runtime.counter import OWNER, Add
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual

FIRST = b"first-command-id"


@virtual
async def test_a_repeat_gets_the_first_result_with_the_view_of_that_version():
    async with Rig() as rig:
        first = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST, want=VIEW_JSON)
        await rig.client.ask("counter", "a", Add(7), actor=OWNER)
        again = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST, want=VIEW_JSON)
        assert again.duplicate
        assert (again.version, again.data, again.view) == (first.version, first.data, first.view)
        packed = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST, want=VIEW_MSGPACK)
        assert msgspec.msgpack.decode(packed.view) == msgspec.json.decode(first.view)
        assert len(rig.rows("a")) == 2


@virtual
async def test_the_same_id_with_another_body_is_refused_and_changes_nothing():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)
        with pytest.raises(Invalid) as error:
            await rig.client.ask("counter", "a", Add(6), actor=OWNER, command_id=FIRST)
        assert error.value.failure.code == "idempotency_key_reused"
        assert len(rig.rows("a")) == 1


@virtual
async def test_the_same_id_may_be_used_for_another_entity():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)
        other = await rig.client.ask("counter", "b", Add(6), actor=OWNER, command_id=FIRST)
        assert (other.version, other.duplicate) == (1, False)


@virtual
async def test_two_at_once_under_one_id_are_one_execution():
    async with Rig() as rig:
        rig.gate.open.clear()
        both = [
            asyncio.create_task(client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST))
            for client in (rig.client, rig.another_client())
        ]
        await asyncio.sleep(0.1)
        rig.gate.open.set()
        answers = await asyncio.gather(*both)
        assert [answer.version for answer in answers] == [1, 1]
        assert sorted(answer.duplicate for answer in answers) == [False, True]
        assert answers[0].data == answers[1].data == {"total": 5}


@virtual
async def test_a_repeat_of_a_command_whose_commit_failed_is_executed():
    async with Rig() as rig:
        rig.gate.before.append(CommitUnknown("lost on the way"))
        answers = await asyncio.gather(
            *(rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST) for _ in range(2))
        )
        assert [answer.version for answer in answers] == [1, 1]
        assert len(rig.rows("a")) == 1


@virtual
async def test_ids_older_than_memory_are_found_in_the_journal():
    async with Rig(recent_commands_max=4, mailbox_commands_max=4) as rig:
        first = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST, want=VIEW_JSON)
        for _ in range(10):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        again = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST, want=VIEW_JSON)
        assert (again.version, again.duplicate, again.view) == (1, True, first.view)
        with pytest.raises(Invalid):
            await rig.client.ask("counter", "a", Add(6), actor=OWNER, command_id=FIRST)
        assert len(rig.rows("a")) == 11


@virtual
async def test_a_first_attempt_that_arrives_after_it_was_repeated_and_forgotten_is_not_executed_again():
    async with Rig(recent_commands_max=4, mailbox_commands_max=4) as rig:
        env = Envelope(
            corr=1,
            mode=COMMAND,
            kind="counter",
            id="a",
            body=msgspec.msgpack.encode(Add(1)),
            command_id=FIRST,
            body_hash=b"h" * 16,
            actor=OWNER,
            device="",
            correlation="",
            deadline_ms=1 << 60,
        )
        replies: list[Reply] = []
        rig.host.submit(env, replies.append)
        for _ in range(10):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.host.submit(env, replies.append)
        innocent = await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.host.submit(msgspec.structs.replace(env, retry=1), replies.append)
        await asyncio.sleep(0.1)
        assert [(reply.status, reply.version, reply.duplicate) for reply in replies] == [
            (OK, 1, False),
            (RETRY, 0, False),
            (OK, 1, True),
        ]
        assert innocent.data == {"total": 12}
        assert len(rig.rows("a")) == 12


@virtual
async def test_turns_wait_in_order_behind_a_look_into_the_journal():
    async with Rig(recent_commands_max=4) as rig:
        for number in range(6):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % number)
        rig.gate.read_seconds = 1.0
        new = asyncio.create_task(rig.client.ask("counter", "a", Add(10), actor=OWNER, command_id=FIRST))
        await turns_of_the_loop()
        later = asyncio.create_task(rig.client.ask("counter", "a", Add(100), actor=OWNER))
        await asyncio.sleep(0.5)
        assert not new.done()
        assert not later.done()
        assert (await new).data == {"total": 16}
        assert (await later).data == {"total": 116}


@virtual
async def test_a_look_into_the_journal_that_fails_is_tried_again():
    async with Rig(recent_commands_max=4) as rig:
        for number in range(6):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % number)
        rig.gate.reads.append(OSError("away"))
        again = await rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % 0)
        assert (again.version, again.duplicate) == (1, True)


@virtual
async def test_a_repeat_is_known_across_passivation_restart_and_deleted_snapshots():
    async with Rig(recent_commands_max=4, mailbox_commands_max=4) as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)
        for _ in range(3):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.host.residents.passivate(["counter/a"])
        assert (await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)).version == 1
        for _ in range(3):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.host.residents.passivate(["counter/a"])
        await rig.start_host("host-1")
        assert (await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)).version == 1
        rig.store.snapshots.clear()
        await rig.start_host("host-1")
        assert (await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=FIRST)).version == 1
        assert len(rig.rows("a")) == 7


@virtual
async def test_a_refusal_is_not_recorded_and_the_id_stays_free():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        with pytest.raises(Conflict):
            await rig.client.ask("counter", "a", Add(5, limit=7), actor=OWNER, command_id=FIRST)
        await rig.client.ask("counter", "a", Add(-4), actor=OWNER)
        accepted = await rig.client.ask("counter", "a", Add(5, limit=7), actor=OWNER, command_id=FIRST)
        assert (accepted.version, accepted.duplicate) == (3, False)


@given(
    st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16)), max_size=60),
    st.integers(min_value=1, max_value=40),
    st.data(),
)
def test_recent_commands_are_a_dict_that_forgets_its_oldest(
    commands: list[tuple[bytes, bytes]], keep: int, data: Any
) -> None:
    model: dict[bytes, tuple[int, bytes]] = {}
    recent, complete = RecentCommands(), True
    for version, (command_id, digest) in enumerate(commands, 1):
        if command_id in model:
            continue
        recent.add(command_id, digest, version, keep)
        model[command_id] = (version, digest)
        while len(model) > keep:
            del model[next(iter(model))]
            complete = False
        if data.draw(st.booleans(), label="through a snapshot"):
            recent = RecentCommands(recent.pack(), recent.complete)
    assert recent.complete == complete
    for command_id, _ in commands:
        assert recent.find(command_id) == model.get(command_id)
    assert recent.find(b"never-was-before") is None


def test_an_id_is_not_found_across_the_border_of_two_records():
    recent = RecentCommands()
    recent.add(b"A" * 16, b"B" * 16, 1, 10)
    recent.add(b"C" * 16, b"D" * 16, 2, 10)
    for wrong in (b"A" * 8 + b"B" * 8, b"B" * 16, b"B" * 8 + b"\0" * 7 + b"\1", b"\0" * 7 + b"\1" + b"C" * 8):
        assert recent.find(wrong) is None
    assert recent.find(b"C" * 16) == (2, b"D" * 16)


@virtual
async def test_repeats_of_an_entity_with_a_long_journal_are_answered_a_page_at_a_time_and_not_side_by_side():
    async with Rig() as rig:
        for number in range(PAGE_ROWS * 2 + 1):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % number)
        sizes: list[int] = []
        reading: list[int] = [0, 0]
        rows = rig.journal.rows

        async def slow_rows(*args: Any, **named: Any) -> Any:
            reading[0] += 1
            reading[1] = max(reading)
            await asyncio.sleep(0.1)
            found = await rows(*args, **named)
            sizes.append(len(found))
            reading[0] -= 1
            return found

        rig.journal.rows = slow_rows
        asked = []
        for number in (PAGE_ROWS * 2, 7, PAGE_ROWS, PAGE_ROWS * 2):
            asked.append(
                asyncio.create_task(
                    rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % number, want=VIEW_JSON)
                )
            )
            await asyncio.sleep(0.05)
        answers = await asyncio.gather(*asked)
        assert [answer.version for answer in answers] == [PAGE_ROWS * 2 + 1, 8, PAGE_ROWS + 1, PAGE_ROWS * 2 + 1]
        assert [msgspec.json.decode(one.view)["total"] for one in answers] == [one.version for one in answers]
        assert max(sizes) <= PAGE_ROWS
        assert reading[1] == 1


@virtual
async def test_ids_from_outside_that_memory_does_not_reach_are_looked_up_together():
    async with Rig(recent_commands_max=8, mailbox_commands_max=8) as rig:

        def send(number: int) -> Any:
            return rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=bytes([number]) * 16)

        for number in range(12):
            await send(number)
        rig.gate.operations.clear()
        answers = await asyncio.gather(*(send(number) for number in (0, 1, 2, 3, 100, 101, 102, 102)))
        assert [answer.duplicate for answer in answers] == [True] * 4 + [False] * 3 + [True]
        assert rig.gate.operations.count("find_commands") == 1
        assert len(rig.rows("a")) == 15

"""What a command gets, and what it leaves: acknowledgement, refusal, deadlines, expectations, bounds."""

import asyncio

import msgspec
import pytest

from actors.runtime.wire import VIEW_JSON
from domain.errors import (
    Conflict,
    DeadlineExceeded,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooMany,
    Unavailable,
)
from tests.actors.runtime.counter import ANYONE, OWNER, Add, Join, Point
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual


@virtual
async def test_an_acknowledged_command_is_one_journal_row():
    async with Rig() as rig:
        answer = await rig.client.ask("counter", "a", Add(5), actor=OWNER, want=VIEW_JSON)
        assert (answer.version, answer.duplicate, answer.data) == (1, False, {"total": 5})
        assert msgspec.json.decode(answer.view)["total"] == 5
        assert [row.version for row in rig.rows("a")] == [1]


@virtual
async def test_nothing_is_answered_before_the_commit():
    async with Rig() as rig:
        rig.gate.open.clear()
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(5), actor=OWNER))
        read = asyncio.create_task(rig.client.read("counter", "a", actor=OWNER))
        refused = asyncio.create_task(rig.client.ask("counter", "a", Add(5, limit=7), actor=OWNER))
        await asyncio.sleep(1)
        assert not asked.done()
        assert not read.done()
        assert not refused.done()
        rig.gate.open.set()
        assert (await asked).version == 1
        assert (await read).version == 1
        with pytest.raises(Conflict) as error:
            await refused
        assert error.value.failure.extra == {"current": 5}


@virtual
async def test_a_signal_of_an_entity_that_does_not_exist_yet_is_harmless_while_groups_are_watched():
    async with Rig() as rig:
        await rig.client.watch_group("g/1", gateway="g")
        assert (await rig.client.ask("counter", "a", Point(3), actor=OWNER)).version == 0


@virtual
async def test_a_stale_expectation_is_refused_with_the_current_version():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER, expect=0)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER, expect=1)
        with pytest.raises(PreconditionFailed) as error:
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, expect=1)
        assert error.value.failure.extra == {"current_version": 2}
        with pytest.raises(NotFound):
            await rig.client.ask("counter", "b", Add(1), actor=OWNER, expect=4)


@virtual
async def test_of_two_with_the_same_expectation_one_is_accepted():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        both = [rig.client.ask("counter", "a", Add(1), actor=OWNER, expect=1) for _ in range(2)]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Answer", "PreconditionFailed"]


@virtual
async def test_strangers_and_unknown_ids_and_kinds_look_the_same():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Join("g"), actor=OWNER)
        stranger = msgspec.structs.replace(OWNER, subject="stranger")
        for kind, key, actor in [("counter", "a", stranger), ("counter", "none", OWNER), ("nothing", "a", OWNER)]:
            with pytest.raises(NotFound):
                await rig.client.read(kind, key, actor=actor)
        assert (await rig.client.read("counter", "a", actor=ANYONE)).version == 1


@virtual
async def test_a_malformed_command_is_invalid_with_the_path_of_the_field():
    class Wrong(msgspec.Struct, tag="add"):
        amount: str

    async with Rig() as rig:
        with pytest.raises(Invalid) as error:
            await rig.client.ask("counter", "a", Wrong("five"), actor=OWNER)
        assert error.value.failure.errors[0].path == "amount"


@virtual
async def test_a_command_that_changes_too_much_is_refused():
    async with Rig(payload_bytes_max=100) as rig:
        with pytest.raises(Invalid) as error:
            await rig.client.ask("counter", "a", Join("x" * 200), actor=OWNER)
        assert error.value.failure.code == "too_large"
        assert rig.rows("a") == []


@virtual
async def test_a_command_past_its_deadline_is_not_executed():
    async with Rig() as rig:
        rig.gate.read_seconds = 0.4
        with pytest.raises(DeadlineExceeded):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, deadline_ms=200)
        await asyncio.sleep(2)
        assert rig.rows("a") == []


@virtual
async def test_a_caller_hears_of_its_deadline_although_the_commit_hangs():
    async with Rig() as rig:
        rig.gate.open.clear()
        with pytest.raises(DeadlineExceeded):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, deadline_ms=3_000)
        assert 3.0 <= asyncio.get_running_loop().time() <= 3.3
        assert rig.client.pending == 0


@virtual
async def test_a_full_mailbox_sends_callers_away_with_a_time_to_retry():
    async with Rig(mailbox_commands_max=3) as rig:
        rig.gate.open.clear()
        asks = [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(5)]
        await asyncio.sleep(0.5)
        refused = [ask.exception() for ask in asks if ask.done()]
        assert [type(error) for error in refused] == [TooMany, TooMany]
        assert refused[0].failure.code == "mailbox_full"
        assert refused[0].failure.retry_after_ms > 0
        other = asyncio.create_task(rig.client.ask("counter", "b", Add(1), actor=OWNER))
        rig.gate.open.set()
        assert (await other).version == 1
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert len(rig.rows("a")) == sum(not isinstance(result, Exception) for result in results) == 3


@virtual
async def test_a_full_mailbox_counts_those_who_wait_for_the_entity_to_load():
    async with Rig(mailbox_commands_max=2) as rig:
        rig.gate.read_seconds = 1.0
        asks = [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(4)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(result, TooMany) for result in results) == 2


@virtual
async def test_a_full_host_sends_callers_away_with_a_time_to_retry():
    async with Rig(host_commands_max=4) as rig:
        rig.gate.open.clear()
        asks = [asyncio.create_task(rig.client.ask("counter", f"e{n}", Add(1), actor=OWNER)) for n in range(12)]
        await asyncio.sleep(0.5)
        refused = [ask.exception() for ask in asks if ask.done()]
        assert refused
        assert {type(error) for error in refused} == {Unavailable}
        assert {error.failure.code for error in refused} == {"host_full"}
        assert all(error.failure.retry_after_ms > 0 for error in refused)
        rig.gate.open.set()
        await asyncio.gather(*asks, return_exceptions=True)
        assert (await rig.client.ask("counter", "new", Add(1), actor=OWNER)).version == 1


@virtual
async def test_a_full_client_refuses_early():
    async with Rig(client_commands_max=2) as rig:
        rig.gate.open.clear()
        asks = [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(2)]
        await turns_of_the_loop()
        with pytest.raises(Unavailable) as error:
            await rig.client.read("counter", "a", actor=OWNER)
        assert error.value.failure.code == "client_full"
        rig.gate.open.set()
        await asyncio.gather(*asks)


@virtual
async def test_what_an_older_connection_of_a_device_still_sends_is_refused_once_a_newer_one_was_heard():
    async with Rig() as rig:
        tablet = {"actor": OWNER, "device": "t-1"}
        await rig.client.ask("counter", "a", Add(1), command_id=b"1" * 16, generation=2, **tablet)
        await rig.client.ask("counter", "a", Add(1), command_id=b"2" * 16, generation=3, **tablet)
        with pytest.raises(Unavailable) as error:
            await rig.client.ask("counter", "a", Add(1), command_id=b"3" * 16, generation=2, **tablet)
        assert error.value.failure.code == "outdated_connection"
        again = await rig.client.ask("counter", "a", Add(1), command_id=b"1" * 16, generation=2, **tablet)
        assert again.duplicate
        await rig.client.ask("counter", "a", Add(1), actor=OWNER, device="t-2", generation=1)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER, device="t-1")
        assert len(rig.rows("a")) == 4


@virtual
async def test_an_answer_says_whether_anything_was_written():
    async with Rig() as rig:
        assert not (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).noop
        assert (await rig.client.ask("counter", "a", Add(0), actor=OWNER)).noop

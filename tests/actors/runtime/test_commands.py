"""What a command gets, and what it leaves: acknowledgement, refusal, poison, deadlines, expectations."""

import asyncio

import msgspec
import pytest

from actors.runtime.entity import Decision
from actors.runtime.wire import VIEW_JSON
from domain.errors import (
    Conflict,
    DeadlineExceeded,
    Internal,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooMany,
    Unavailable,
)
from storage.journal.interface import CommitRefused, CommitUnknown
from tests.actors.runtime.counter import ANYONE, OWNER, Add, CounterKind, Explode, Join, Point
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
async def test_a_poisoned_decision_changes_nothing_and_entity_and_host_go_on():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        with pytest.raises(Internal) as error:
            await rig.client.ask("counter", "a", Explode("decide"), actor=OWNER, correlation="request-7")
        assert error.value.failure.extra == {"correlation_id": "request-7"}
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).data == {"total": 6}
        assert (await rig.client.ask("counter", "b", Add(1), actor=OWNER)).data == {"total": 1}
        assert rig.host.status().poisoned == 1


@virtual
async def test_a_poisoned_apply_leaves_no_trace_although_it_changed_the_state_in_place():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        with pytest.raises(Internal):
            await rig.client.ask("counter", "a", Explode("apply"), actor=OWNER)
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).data == {"total": 6}
        assert [row.version for row in rig.rows("a")] == [1, 2]


@virtual
async def test_commands_that_came_with_a_poisoned_one_are_executed_once():
    async with Rig() as rig:
        rig.gate.open.clear()
        asks = [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(3)]
        poison = asyncio.create_task(rig.client.ask("counter", "a", Explode("apply"), actor=OWNER))
        asks += [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(3)]
        await turns_of_the_loop()
        rig.gate.open.set()
        answers = await asyncio.gather(*asks)
        with pytest.raises(Internal):
            await poison
        assert sorted(answer.version for answer in answers) == [1, 2, 3, 4, 5, 6]
        assert (await rig.client.ask("counter", "a", Add(0), actor=OWNER)).data == {"total": 6}


@virtual
async def test_a_poisoned_apply_on_a_freshly_loaded_entity_is_not_snapshotted():
    async with Rig(snapshot_every_versions=3) as rig:
        for _ in range(5):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.host.tend()
        await rig.host.residents.passivate(["counter/a"])
        rig.store.snapshots.clear()
        with pytest.raises(Internal):
            await rig.client.ask("counter", "a", Explode("apply"), actor=OWNER)
        await rig.host.tend()
        assert rig.store.snapshots == {}
        await rig.host.residents.passivate(["counter/a"])
        assert (await rig.client.ask("counter", "a", Add(0), actor=OWNER)).data == {"total": 5}


class _Sullen(CounterKind):
    """Its view raises for one total."""

    def view(self, state, signals, version):
        if state.total == 13:
            raise ZeroDivisionError("on purpose")
        return super().view(state, signals, version)


@virtual
async def test_a_view_that_raises_is_poison_for_its_reader_alone():
    async with Rig({"counter": _Sullen()}) as rig:
        await rig.client.ask("counter", "a", Add(13), actor=OWNER)
        other = asyncio.create_task(rig.client.ask("counter", "b", Add(1), actor=OWNER))
        with pytest.raises(Internal):
            await rig.client.read("counter", "a", actor=OWNER)
        assert (await other).version == 1
        with pytest.raises(Internal):
            await rig.client.watch("counter", "a", gateway="g", actor=OWNER)


@virtual
async def test_a_view_that_raises_while_watched_refuses_the_command_and_changes_nothing():
    async with Rig({"counter": _Sullen()}) as rig:
        await rig.client.ask("counter", "a", Add(12), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        with pytest.raises(Internal):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert (await rig.client.ask("counter", "a", Add(2), actor=OWNER)).data == {"total": 14}
        assert [change.version for _, changes in rig.told.published for change in changes] == [2]


class _Unsayable(CounterKind):
    """Its state cannot be encoded: one number is over 64 bits. Nor can what it says of no change."""

    def decide(self, state, command, ctx):
        if command == Add(0):
            return Decision(reply={"total": 1 << 70})
        return super().decide(state, command, ctx)

    def apply(self, state, event, meta):
        state = super().apply(state, event, meta)
        state.rang = 1 << 70
        return state


@virtual
async def test_a_state_that_cannot_be_snapshotted_does_not_stop_its_host():
    async with Rig({"counter": _Unsayable()}, snapshot_every_versions=1) as rig:
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).version == 1
        assert (await rig.client.ask("counter", "b", Add(1), actor=OWNER)).version == 1
        await rig.host.residents.passivate(["counter/a", "counter/b"])
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).version == 2


@virtual
async def test_a_reply_that_cannot_be_encoded_is_poison_for_its_caller_alone():
    async with Rig({"counter": _Unsayable()}) as rig:
        rig.gate.open.clear()
        asks = [
            rig.client.ask("counter", key, Add(amount), actor=OWNER) for key, amount in [("a", 1), ("b", 0), ("c", 1)]
        ]
        answers = asyncio.gather(*asks, return_exceptions=True)
        await turns_of_the_loop()
        rig.gate.open.set()
        assert [type(answer).__name__ for answer in await answers] == ["Answer", "Internal", "Answer"]


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

"""Durable timers: within a second of their time, at least once, also after a crash (invariant 6)."""

import asyncio
import contextlib

import msgspec
import pytest

from actors.runtime.entity import Decision, SetReminder
from actors.runtime.shards import shard_of
from actors.runtime.wire import VIEW_JSON
from domain.errors import DeadlineExceeded, Internal
from storage.journal.interface import CommitRefused, CommitUnknown
from tests.actors.runtime.counter import OWNER, Add, Alarm, Armed, CounterKind, Explode, Silence
from tests.actors.runtime.harness import Rig, virtual


def now_ms() -> int:
    now: int = asyncio.get_running_loop().now_ms()  # type: ignore[attr-defined]
    return now


async def rings(rig: Rig, id: str = "a") -> int:
    answer = await rig.client.read("counter", id, actor=OWNER, want=VIEW_JSON)
    count: int = msgspec.json.decode(answer.view)["rang"]
    return count


def rang_at(rig: Rig, id: str = "a") -> list[int]:
    return [row.time_ms for row in rig.rows(id) if row.correlation.startswith("timer:")]


@pytest.mark.parametrize("delay_ms", [0, 1, 400, 4_000, 7_300, 86_400_000])
def test_a_timer_rings_once_within_a_second_of_its_time_and_never_before(delay_ms: int) -> None:
    @virtual
    async def story():
        async with Rig() as rig:
            due_ms = now_ms() + delay_ms
            await rig.client.ask("counter", "a", Alarm(due_ms), actor=OWNER)
            await asyncio.sleep(delay_ms / 1000 + 3)
            assert len(rang_at(rig)) == 1
            assert 0 <= rang_at(rig)[0] - due_ms < 1_000
            assert rig.store.reminders == {}

    story()


@virtual
async def test_a_timer_for_a_time_that_has_passed_rings_now():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() - 60_000), actor=OWNER)
        await asyncio.sleep(0.1)
        assert await rings(rig) == 1


@virtual
async def test_the_same_past_time_set_again_after_it_rang_rings_again():
    async with Rig() as rig:
        due_ms = now_ms() + 100
        for expected in (1, 2, 3):
            await rig.client.ask("counter", "a", Alarm(due_ms), actor=OWNER)
            await asyncio.sleep(0.5)
            assert await rings(rig) == expected
        assert rig.store.reminders == {}


@virtual
async def test_setting_a_timer_again_moves_it_and_cancelling_ends_it():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 1_000), actor=OWNER)
        await rig.client.ask("counter", "a", Alarm(now_ms() + 3_000), actor=OWNER)
        await asyncio.sleep(2)
        assert await rings(rig) == 0
        await asyncio.sleep(2)
        assert await rings(rig) == 1
        await rig.client.ask("counter", "a", Alarm(now_ms() + 1_000), actor=OWNER)
        await rig.client.ask("counter", "a", Silence(), actor=OWNER)
        await asyncio.sleep(3)
        assert await rings(rig) == 1


@virtual
async def test_a_timer_rings_after_its_host_died_and_though_the_entity_is_not_in_memory():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 2_000), actor=OWNER)
        rig.host.fenced()
        await asyncio.sleep(3)
        assert rang_at(rig) == []
        await rig.start_host("host-1")
        await asyncio.sleep(0.1)
        assert len(rang_at(rig)) == 1


@virtual
async def test_a_ring_whose_commit_failed_is_repeated():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 500), actor=OWNER)
        rig.gate.before.append(CommitUnknown("lost on the way"))
        await asyncio.sleep(3)
        assert len(rang_at(rig)) == 1
        assert rig.store.reminders == {}


@virtual
async def test_a_ring_that_a_poisoned_command_took_with_it_is_repeated_within_a_second():
    async with Rig() as rig:
        due_ms = now_ms() + 700
        await rig.client.ask("counter", "a", Alarm(due_ms), actor=OWNER)
        await asyncio.sleep(0.6)
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.2)
        with contextlib.suppress(Internal):
            poison = asyncio.create_task(rig.client.ask("counter", "a", Explode("apply"), actor=OWNER))
            await asyncio.sleep(0.01)
            rig.gate.open.set()
            await poison
        await first
        await asyncio.sleep(2)
        assert len(rang_at(rig)) == 1
        assert rang_at(rig)[0] - due_ms < 1_000


@virtual
async def test_a_ring_whose_commit_was_written_but_not_heard_of_is_not_recorded_twice():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 500), actor=OWNER)
        rig.gate.after.append(CommitUnknown("the answer was lost"))
        await asyncio.sleep(5)
        assert len(rang_at(rig)) == 1


@virtual
async def test_a_timer_that_comes_due_while_its_entity_is_being_loaded_rings_then():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 1_000), actor=OWNER)
        await rig.host.residents.passivate(["counter/a"])
        await asyncio.sleep(0.9)
        load = rig.journal.load

        async def slow_load(keys):
            await asyncio.sleep(0.3)
            return await load(keys)

        rig.journal.load = slow_load
        assert await rings(rig) == 0
        await asyncio.sleep(0.05)
        assert await rings(rig) == 1


@virtual
async def test_a_cancelled_timer_does_not_ring_because_a_slow_scan_saw_it_before():
    class Tattling(CounterKind):
        asked = 0

        def on_timer(self, state, name, ctx):
            Tattling.asked += 1
            return super().on_timer(state, name, ctx)

    async with Rig({"counter": Tattling()}) as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 10_000), actor=OWNER)
        due = rig.journal.due_reminders

        async def slow_answer(*args):
            found = await due(*args)
            await asyncio.sleep(3)
            return found

        rig.journal.due_reminders = slow_answer
        await asyncio.sleep(8)
        await rig.client.ask("counter", "a", Silence(), actor=OWNER)
        await asyncio.sleep(10)
        assert Tattling.asked == 0


@virtual
async def test_a_timer_cancelled_at_another_host_does_not_ring_when_its_shard_comes_back():
    async with Rig(hosts=("host-1", "host-2")) as rig:
        key = rig.key_on("host-1")
        shards = [shard_of("counter", key)]
        await rig.client.ask("counter", key, Alarm(now_ms() + 2_000), actor=OWNER)
        await rig.host.release(shards, "host-2")
        await rig.hosts["host-2"].adopt([])
        await rig.client.ask("counter", key, Silence(), actor=OWNER)
        await rig.hosts["host-2"].release(shards, "host-1")
        await rig.host.adopt([])
        await asyncio.sleep(4)
        assert rang_at(rig, key) == []
        assert rig.host.status().timers_fired == 0


@virtual
async def test_a_timer_moves_with_its_shard():
    async with Rig(hosts=("host-1", "host-2")) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Alarm(now_ms() + 1_500), actor=OWNER)
        await rig.host.release([shard_of("counter", key)], "host-2")
        await rig.hosts["host-2"].adopt([])
        await asyncio.sleep(2.5)
        assert len(rang_at(rig, key)) == 1


class _Poisonous(CounterKind):
    asked = 0

    def on_timer(self, state, name, ctx):
        if ctx.id.startswith("bad"):
            self.asked += 1
            raise ZeroDivisionError("on purpose")
        return super().on_timer(state, name, ctx)


@virtual
async def test_a_poisoned_timer_keeps_its_row_and_does_not_disturb_the_others():
    async with Rig({"counter": _Poisonous()}) as rig:
        for key in ("bad", "good"):
            await rig.client.ask("counter", key, Alarm(now_ms() + 500), actor=OWNER)
        await asyncio.sleep(3)
        assert len(rang_at(rig, "good")) == 1
        assert [reminder.id for reminder in rig.store.reminders.values()] == ["bad"]
        assert (await rig.client.ask("counter", "bad", Add(1), actor=OWNER)).version == 2


@virtual
async def test_more_poisoned_timers_than_one_scan_takes_do_not_hide_the_others_and_are_asked_ever_more_rarely():
    kind = _Poisonous()
    async with Rig({"counter": kind}, timer_batch_max=3) as rig:
        for number in range(8):
            await rig.client.ask("counter", f"bad{number}", Alarm(now_ms() + 500), actor=OWNER)
        due_ms = now_ms() + 60_000
        await rig.client.ask("counter", "good", Alarm(due_ms), actor=OWNER)
        await asyncio.sleep(62)
        assert len(rang_at(rig, "good")) == 1
        assert rang_at(rig, "good")[0] - due_ms < 1_000
        assert kind.asked < 8 * 12
        assert len(rig.store.reminders) == 8


@virtual
async def test_a_timer_whose_commit_the_database_refuses_does_not_hurry_either():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 500), actor=OWNER)
        rig.gate.before += [CommitRefused("not this") for _ in range(100)]
        rig.gate.only_rows = True
        await asyncio.sleep(60)
        assert 5 < 100 - len(rig.gate.before) < 12
        rig.gate.before.clear()
        await asyncio.sleep(70)
        assert len(rang_at(rig)) == 1


class _Early(CounterKind):
    """As real kinds do: what rings too early is set again for the same time."""

    def on_timer(self, state, name, ctx):
        if ctx.now_ms < state.due_ms:
            return Decision(reminders=(SetReminder(name, state.due_ms),))
        return super().on_timer(state, name, ctx)

    def apply(self, state, event, meta):
        state = super().apply(state, event, meta)
        if isinstance(event, Armed):
            state.due_ms = event.due_ms
        return state


@virtual
async def test_a_wall_clock_that_is_set_back_makes_a_timer_later_but_never_loses_it():
    class Clock:
        behind_ms = 0

        def now_ms(self):
            return now_ms() - self.behind_ms

    async with Rig({"counter": _Early()}) as rig:
        clock = rig.clock = Clock()
        await rig.start_host("host-1")
        due_ms = now_ms() + 3_000
        await rig.client.ask("counter", "a", Alarm(due_ms), actor=OWNER)
        await asyncio.sleep(1)
        clock.behind_ms = 4_000
        await asyncio.sleep(30)
        assert await rings(rig) == 1
        assert 0 <= rang_at(rig)[-1] - due_ms < 1_000
        assert rig.store.reminders == {}


@virtual
async def test_more_timers_than_one_scan_takes_all_ring():
    async with Rig(timer_batch_max=3) as rig:
        due_ms = now_ms() + 6_000
        for number in range(12):
            await rig.client.ask("counter", f"e{number}", Alarm(due_ms), actor=OWNER)
        await rig.start_host("host-1")
        await asyncio.sleep(10)
        assert all(len(rang_at(rig, f"e{number}")) == 1 for number in range(12))


@virtual
async def test_overdue_timers_show_as_a_figure():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Alarm(now_ms() + 1_000), actor=OWNER)
        rig.gate.open.clear()
        await asyncio.sleep(5)
        assert 2_500 < rig.host.status().timers_overdue_ms < 4_500
        rig.gate.open.set()
        with pytest.raises(DeadlineExceeded):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER, deadline_ms=-1)

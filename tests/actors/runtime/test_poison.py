"""An entity whose code raises: whom it touches, and that its host goes on."""

import asyncio

import pytest

from actors.runtime.entity import Decision
from domain.errors import (
    Internal,
)
from tests.actors.runtime.counter import OWNER, Add, CounterKind, Explode
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual


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

"""Bytes of the journal: round trips, and older schemas brought forward (invariant 10)."""

import contextlib
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.codec import KindCodec, UnreadableError
from actors.runtime.entity import Decision
from actors.runtime.shards import shard_of
from domain.errors import Internal, Invalid
from tests.actors.runtime.counter import OWNER, Add, Added, Armed, Counter, CounterKind, Joined, Rang
from tests.actors.runtime.harness import Rig, virtual

CODEC = KindCodec(CounterKind())
small = st.integers(min_value=-(2**63), max_value=2**63 - 1)
events = st.lists(
    st.one_of(
        st.builds(Added, small),
        st.builds(Rang, st.text()),
        st.builds(Armed, small),
        st.builds(Joined, st.text()),
    ),
    max_size=5,
)
replies = st.none() | st.dictionaries(st.text(), st.one_of(small, st.text(), st.booleans(), st.binary()), max_size=4)


@given(events, replies)
def test_events_and_reply_come_back_as_they_went(recorded: list[Any], reply: dict[str, Any] | None) -> None:
    payload = CODEC.pack_events("a", 1, recorded, reply)
    assert list(CODEC.events("a", 1, payload)) == recorded
    assert CODEC.reply("a", 1, payload) == reply


@given(st.builds(Counter, small, small, small, st.text(), st.text()), st.binary(), st.booleans())
def test_a_snapshot_comes_back_as_it_went(state: Counter, recent: bytes, complete: bool) -> None:
    assert CODEC.snapshot("a", 1, 1, CODEC.pack_snapshot("a", 1, state, recent, complete)) == (state, recent, complete)


@given(st.binary(max_size=40))
def test_garbage_is_unreadable_and_never_anything_else(garbage: bytes) -> None:
    with contextlib.suppress(UnreadableError, msgspec.DecodeError):
        CODEC.events("a", 1, garbage)
    with contextlib.suppress(Invalid):
        CODEC.command(garbage)
    CODEC.snapshot("a", 1, 1, garbage)


@given(st.text(), st.text())
def test_the_shard_of_an_entity_never_changes(kind: str, id: str) -> None:
    assert 0 <= shard_of(kind, id) < 256
    assert (shard_of("cart", "1"), shard_of("order", "018f3c1e")) == (102, 232)


class Raised(msgspec.Struct, tag="raised"):
    """Schema 2 calls `added` so, and counts in hundredths."""

    hundredths: int


class Counter2(msgspec.Struct):
    hundredths: int = 0
    owner: str = ""


class CounterKind2(CounterKind):
    """The same kind a release later."""

    schema: ClassVar[int] = 2
    events: ClassVar[tuple[type, ...]] = (Raised,)
    state: ClassVar[type] = Counter2
    upcast_states = True

    def decide(self, state: Any, command: Any, ctx: Any) -> Decision:
        return Decision((Raised(command.amount * 100),), {"hundredths": command.amount * 100})

    def apply(self, state: Any, event: Any, meta: Any) -> Any:
        state = state or Counter2(owner=meta.actor)
        state.hundredths += event.hundredths
        return state

    def view(self, state: Any, signals: dict[str, Any], version: int) -> Any:
        return {"hundredths": state.hundredths}

    def groups(self, state: Any) -> tuple[str, ...]:
        return ()

    def upcast_event(self, schema: int, event: dict[str, Any]) -> dict[str, Any]:
        assert (schema, event["type"]) == (1, "added")
        return {"type": "raised", "hundredths": event["amount"] * 100}

    def upcast_state(self, schema: int, state: dict[str, Any]) -> dict[str, Any] | None:
        if not self.upcast_states:
            return None
        return {"hundredths": state["total"] * 100, "owner": state["owner"]}


class RebuildingKind2(CounterKind2):
    upcast_states = False


async def _old_journal(snapshot: bool) -> Rig:
    async with Rig() as rig:
        for amount in (5, 7):
            await rig.client.ask("counter", "a", Add(amount), actor=OWNER, command_id=b"%016d" % amount)
    if not snapshot:
        rig.store.snapshots.clear()
    return rig


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("kind", [CounterKind2, RebuildingKind2])
def test_rows_and_snapshots_of_schema_1_are_read_by_schema_2(kind: type[CounterKind2], snapshot: bool) -> None:
    @virtual
    async def story():
        old = await _old_journal(snapshot)
        async with Rig({"counter": kind()}, store=old.store) as rig:
            answer = await rig.client.read("counter", "a", actor=OWNER)
            assert (answer.version, msgspec.json.decode(answer.view)) == (2, {"hundredths": 1200})
            added = await rig.client.ask("counter", "a", Add(1), actor=OWNER, want=1)
            assert (added.version, msgspec.json.decode(added.view)) == (3, {"hundredths": 1300})
            again = await rig.client.ask("counter", "a", Add(5), actor=OWNER, command_id=b"%016d" % 5, want=1)
            assert (again.version, again.duplicate, again.data) == (1, True, {"total": 5})
            assert msgspec.json.decode(again.view) == {"hundredths": 500}
        assert old.store.snapshots["counter", "a"].schema == 2

    story()


@pytest.mark.parametrize("snapshot", [True, False])
def test_what_a_newer_release_wrote_fails_clearly_and_at_once(snapshot: bool) -> None:
    @virtual
    async def story():
        async with Rig({"counter": CounterKind2()}) as newer:
            await newer.client.ask("counter", "a", Add(5), actor=OWNER)
        if not snapshot:
            newer.store.snapshots.clear()
        async with Rig(store=newer.store) as older:
            with pytest.raises(Internal) as error:
                await older.client.ask("counter", "a", Add(5), actor=OWNER)
            assert error.value.failure.code == "unreadable"
            assert (await older.client.ask("counter", "b", Add(5), actor=OWNER)).version == 1
        assert len(newer.store.by_entity["counter", "a"]) == 1

    story()

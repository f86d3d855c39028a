"""What a sensitive kind stores is sealed, and bound to where it was stored."""

import asyncio
from collections.abc import Container
from typing import Any

import msgspec
import pytest

from actors.runtime.clock import SystemClock
from actors.runtime.codec import KindCodec, UnreadableError
from actors.runtime.host import Host
from actors.runtime.limits import DEFAULTS
from actors.runtime.local import LOCAL_KEYS, ListPublisher
from domain.errors import Internal
from services.history import History
from storage.crypto import KeyRing, KeySet
from storage.journal.interface import Row
from storage.journal.memory import MemoryJournal, MemoryStore
from tests.actors.runtime.counter import KINDS, OWNER, Add
from tests.actors.runtime.harness import Rig, virtual
from tests.actors.runtime.secret import SECRETS, Note, SecretKind

BOTH = KINDS | SECRETS
PLAIN = "allergic to lidocaine"


async def noted(
    store: MemoryStore | None = None, *texts: str, entity: str = "a", keys: KeyRing = LOCAL_KEYS
) -> MemoryStore:
    """A store in which these texts were added to the entity, snapshot included."""
    async with Rig(BOTH, store=store, keys=keys) as rig:
        for text in texts or (PLAIN, "a second time"):
            await rig.client.ask("secret", entity, Note(text), actor=OWNER, command_id=text.encode()[:16].ljust(16))
    return rig.store


async def texts_in(store: MemoryStore, entity: str = "a", keys: KeyRing = LOCAL_KEYS) -> list[str]:
    async with Rig(BOTH, store=store, keys=keys) as rig:
        answer = await rig.client.read("secret", entity, actor=OWNER)
        return list(msgspec.json.decode(answer.view)["texts"])


def put(store: MemoryStore, row: Row) -> None:
    """Write into the store behind the runtime's back."""
    rows = store.by_entity[row.kind, row.id]
    rows[row.version - 1 :] = [row, *rows[row.version :]]


async def refused(store: MemoryStore, entity: str = "a") -> bool:
    """Whether the entity, and nothing beside it, is unreadable."""
    async with Rig(BOTH, store=store) as rig:
        with pytest.raises(Internal) as error:
            await rig.client.ask("secret", entity, Note("more"), actor=OWNER)
        assert (await rig.client.ask("counter", "beside", Add(1), actor=OWNER)).data == {"total": 1}
        assert (await rig.client.ask("secret", "beside", Note("fine"), actor=OWNER)).version == 1
        return error.value.failure.code == "unreadable"


@virtual
async def test_neither_the_journal_nor_the_snapshots_hold_it_in_clear_and_a_restart_reads_it() -> None:
    store = await noted()
    stored = [row.payload for row in store.rows] + [snapshot.data for snapshot in store.snapshots.values()]
    assert len(stored) == 3
    for sealed in stored:
        assert b"lidocaine" not in sealed
        assert b"noted" not in sealed
    assert await texts_in(store) == [PLAIN, "a second time"]
    store.snapshots.clear()
    assert await texts_in(store) == [PLAIN, "a second time"]


@virtual
async def test_a_repeat_is_answered_from_the_sealed_row() -> None:
    store = await noted()
    async with Rig(BOTH, store=store) as rig:
        again = await rig.client.ask("secret", "a", Note(PLAIN), actor=OWNER, command_id=PLAIN.encode()[:16], want=1)
        assert (again.version, again.duplicate, again.data) == (1, True, {"noted": PLAIN})
        assert msgspec.json.decode(again.view) == {"texts": [PLAIN], "version": 1}


@virtual
async def test_what_is_not_sensitive_is_stored_as_ever() -> None:
    async with Rig(BOTH) as rig:
        await rig.client.ask("counter", "c", Add(1), actor=OWNER)
        (row,) = rig.rows("c")
    assert row.payload == KindCodec(KINDS["counter"]).pack_events("c", 1, *_first_of(row.payload))


def _first_of(payload: bytes) -> tuple[list[Any], dict[str, Any] | None]:
    _, events, reply = msgspec.msgpack.decode(payload)
    return events, reply


@virtual
async def test_a_row_that_was_moved_to_another_entity_is_unreadable() -> None:
    store = await noted()
    stolen = store.by_entity["secret", "a"][0]
    put(store, msgspec.structs.replace(stolen, id="thief"))
    assert await refused(store, "thief")
    assert await texts_in(store) == [PLAIN, "a second time"]


@virtual
async def test_rows_of_one_entity_that_changed_places_are_unreadable() -> None:
    store = await noted()
    store.snapshots.clear()
    one, two = store.by_entity["secret", "a"]
    put(store, msgspec.structs.replace(one, payload=two.payload))
    put(store, msgspec.structs.replace(two, payload=one.payload))
    assert await refused(store)


@pytest.mark.parametrize("at", [0, 4, 20, -1])
def test_a_damaged_row_is_unreadable_and_harms_nobody_else(at: int) -> None:
    @virtual
    async def story() -> None:
        store = await noted()
        store.snapshots.clear()
        first = store.by_entity["secret", "a"][0]
        damaged = bytearray(first.payload)
        damaged[at] ^= 1
        put(store, msgspec.structs.replace(first, payload=bytes(damaged)))
        assert await refused(store)

    story()


@virtual
async def test_bytes_in_clear_are_not_taken_for_a_sensitive_kinds() -> None:
    store = await noted()
    store.snapshots.clear()
    first = store.by_entity["secret", "a"][0]
    forged = msgspec.msgpack.encode((1, [{"type": "noted", "text": "forged"}], None))
    put(store, msgspec.structs.replace(first, payload=forged))
    assert await refused(store)


@virtual
async def test_a_snapshot_that_is_damaged_or_another_entitys_is_rebuilt_from_the_journal() -> None:
    store = await noted()
    await noted(store, "somebody", "else", entity="b")
    good, others = store.snapshots["secret", "a"], store.snapshots["secret", "b"]
    assert good.version == others.version == 2
    for data in (others.data, good.data[:-1] + b"?", good.data[:30], b""):
        store.snapshots["secret", "a"] = msgspec.structs.replace(good, data=data)
        assert await texts_in(store) == [PLAIN, "a second time"]


class Table:
    """A key source of a dict."""

    def __init__(self) -> None:
        self.stored = {1: b"1" * 32}
        self.reads = 0
        self.away = False

    async def keys(self, known: Container[int]) -> KeySet:
        self.reads += 1
        if self.away:
            raise OSError("the database is away")
        return KeySet({n: key for n, key in self.stored.items() if n not in known}, max(self.stored))

    async def ring(self) -> KeyRing:
        return KeyRing(await self.keys(()), self)


@virtual
async def test_a_key_that_another_host_made_is_learned_by_one_look_at_the_table() -> None:
    table = Table()
    running = await table.ring()
    store = await noted(None, "by the old key", keys=running)
    table.stored[2] = b"2" * 32
    await noted(store, "by the new key", keys=await table.ring())
    table.reads = 0
    assert await texts_in(store, keys=running) == ["by the old key", "by the new key"]
    assert table.reads == 1
    history = History(MemoryJournal(store), SECRETS, KeyRing(KeySet({1: b"1" * 32}, 1), table))
    assert [event.text for row in await history.of("secret", "a") for event in row.events] == [
        "by the old key",
        "by the new key",
    ]


@virtual
async def test_while_the_table_is_away_callers_wait_and_are_not_refused() -> None:
    table = Table()
    running = await table.ring()
    table.stored[2] = b"2" * 32
    store = await noted(None, PLAIN, keys=await table.ring())
    table.away = True
    async with Rig(BOTH, store=store, keys=running) as rig:
        reading = asyncio.create_task(rig.client.read("secret", "a", actor=OWNER))
        await asyncio.sleep(1)
        assert not reading.done()
        table.away = False
        assert msgspec.json.decode((await reading).view)["texts"] == [PLAIN]


@virtual
async def test_a_key_that_the_table_does_not_have_is_unreadable() -> None:
    store = await noted(None, PLAIN, keys=KeyRing(KeySet({9: b"9" * 32}, 9)))
    assert await refused(store)
    with pytest.raises(UnreadableError, match="data key 9"):
        await History(MemoryJournal(store), SECRETS, LOCAL_KEYS).of("secret", "a")


def test_without_keys_nothing_of_a_sensitive_kind_can_be_stored() -> None:
    journal = MemoryJournal(MemoryStore())
    with pytest.raises(ValueError, match="sensitive"):
        KindCodec(SecretKind())
    with pytest.raises(ValueError, match="sensitive"):
        History(journal, BOTH)
    with pytest.raises(ValueError, match="sensitive"):
        Host(
            "host-1",
            journal=journal,
            placement=journal,
            kinds=BOTH,
            clock=SystemClock(),
            limits=DEFAULTS,
            publisher=ListPublisher(),
            on_fenced=lambda: None,
        )

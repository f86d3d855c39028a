"""A kind that an older release stored in clear: that is read, what is new is sealed, and resealing seals the rest."""

from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import msgspec
import pytest

from actors.cart_commands import AddLine, BeginCheckout, CompleteCheckout, Create, Terms
from actors.kinds import KINDS
from actors.order_commands import Address, Place
from actors.runtime.codec import KindCodec, UnreadableError
from actors.runtime.entity import SYSTEM, Actor, EntityKind
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LOCAL_KEYS, LocalRuntime
from domain.ids import new_id
from domain.lines import Line
from storage.crypto import KeyRing, key_id_of
from storage.journal.postgres import PostgresJournal
from storage.key_changes import make_current_key
from storage.key_wrapping import local_wrapper
from storage.resealing import IN_CLEAR, key_usage, reseal
from storage.sealed_columns import sealed_columns
from tests.actors.runtime.counter import OWNER
from tests.actors.runtime.harness import Rig, virtual
from tests.actors.runtime.secret import Note, Noted, Notes, SecretKind

OLD_TEXT, NEW_TEXT = "allergic to lidocaine", "and to nickel"


class ClearKind(SecretKind):
    """As the older release had it."""

    sensitive: ClassVar[bool] = False


class OnceClearKind(SecretKind):
    once_clear: ClassVar[bool] = True


OLD: dict[str, EntityKind[Any]] = {"secret": ClearKind()}
NEW: dict[str, EntityKind[Any]] = {"secret": OnceClearKind()}
COLUMNS = [column for column in sealed_columns(("secret",), ("secret",)) if column.kind]


def codec(kind: SecretKind) -> KindCodec[Any]:
    return KindCodec(kind, LOCAL_KEYS)


def test_rows_and_snapshots_in_clear_are_read_and_new_ones_are_sealed() -> None:
    old, new = codec(ClearKind()), codec(OnceClearKind())
    row, snapshot = (
        old.pack_events("a", 1, [Noted(OLD_TEXT)], {"n": 1}),
        old.pack_snapshot("a", 1, Notes(["x"]), b"", True),
    )
    assert new.events("a", 1, row) == (Noted(OLD_TEXT),)
    assert new.reply("a", 1, row) == {"n": 1}
    assert new.snapshot("a", 1, 1, snapshot) == (Notes(["x"]), b"", True)
    sealed = new.pack_events("a", 1, [Noted(NEW_TEXT)], None)
    assert (key_id_of(sealed), key_id_of(row), key_id_of(snapshot)) == (LOCAL_KEYS.current, None, None)
    assert new.events("a", 1, sealed) == (Noted(NEW_TEXT),)


def test_what_is_sealed_stays_bound_to_its_place() -> None:
    new = codec(OnceClearKind())
    sealed = new.pack_events("a", 1, [Noted(NEW_TEXT)], None)
    for damaged in (sealed[:-1] + b"?", b"\x02" + sealed[1:], sealed[:20]):
        with pytest.raises(UnreadableError):
            new.events("a", 1, damaged)
    with pytest.raises(UnreadableError):
        new.events("b", 1, sealed)


@virtual
async def test_an_entity_of_before_goes_on() -> None:
    async with Rig(OLD) as rig:
        await rig.client.ask("secret", "a", Note(OLD_TEXT), actor=OWNER)
    async with Rig(NEW, store=rig.store) as rig:
        answer = await rig.client.ask("secret", "a", Note(NEW_TEXT), actor=OWNER, want=1)
        assert msgspec.json.decode(answer.view)["texts"] == [OLD_TEXT, NEW_TEXT]
    old, new = (row.payload for row in rig.store.by_entity["secret", "a"])
    assert (OLD_TEXT.encode() in old, NEW_TEXT.encode() in new) == (True, False)


async def said(url: str, kinds: dict[str, EntityKind[Any]], keys: KeyRing, *texts: str) -> list[str]:
    async with PostgresJournal(url) as journal, LocalRuntime(journal, journal, kinds, keys=keys) as local:
        for text in texts:
            await local.client.ask("secret", "a", Note(text), actor=OWNER)
        answer = await local.client.read("secret", "a", actor=OWNER)
    return list(msgspec.json.decode(answer.view)["texts"])


async def everything(url: str) -> bytes:
    """Every row of every table, as one run of bytes."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f"SELECT * FROM {name}") for (name,) in tables]
    finally:
        await connection.close()
    values = (value for table in rows for row in table for value in row.values())
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


@pytest.mark.stack
async def test_resealing_seals_what_was_left_in_clear_and_what_older_keys_sealed(
    database_url: str, tmp_path: Path
) -> None:
    config = RuntimeConfig(database_url, "", keys_dir=str(tmp_path))
    keys = await config.open_keys()
    await said(database_url, OLD, keys, OLD_TEXT, "second")
    assert await said(database_url, NEW, keys, NEW_TEXT) == [OLD_TEXT, "second", NEW_TEXT]
    used = await key_usage(database_url, COLUMNS)
    assert used[IN_CLEAR] == 2
    await make_current_key(database_url, local_wrapper(tmp_path, None, create=False), 2)
    await keys.refresh()
    done = await reseal(database_url, keys, COLUMNS)
    assert (done.damaged, done.resealed) == (0, done.walked)
    assert set(await key_usage(database_url, COLUMNS)) == {2}
    assert b"lidocaine" not in await everything(database_url)
    assert await said(database_url, NEW, keys) == [OLD_TEXT, "second", NEW_TEXT]
    assert (await reseal(database_url, keys, COLUMNS)).resealed == 0


@pytest.mark.stack
async def test_of_carts_and_orders_no_address_or_instruction_lies_in_any_table(
    database_url: str, tmp_path: Path
) -> None:
    keys = await RuntimeConfig(database_url, "", keys_dir=str(tmp_path)).open_keys()
    cart_id, order_id, merchant, owner = new_id(), new_id(), new_id(), Actor(new_id(), ("customer",))
    address = Address(line1="Lindenweg 17", city="Sankt Beispiel", country="DE")
    note = "ring twice at Winterhalter"
    line = AddLine(
        product_id="soup", name="Soup", unit_price_minor=400, currency="EUR", merchant_id=merchant, instructions=note
    )
    place = Place(
        cart_id=cart_id,
        user_id=owner.subject,
        merchant_id=merchant,
        currency="EUR",
        lines=(Line(line_id="1", product_id="soup", name="Soup", unit_price_minor=400, quantity=1, instructions=note),),
        subtotal_minor=400,
        total_minor=400,
        address=address,
        instructions=note,
    )
    async with PostgresJournal(database_url) as journal, LocalRuntime(journal, journal, KINDS, keys=keys) as local:
        for kind, id_, command, actor in (
            ("cart", cart_id, Create("EUR", merchant), owner),
            ("cart", cart_id, line, owner),
            ("cart", cart_id, BeginCheckout(order_id, terms=Terms(address=address, instructions=note)), owner),
            ("order", order_id, place, SYSTEM),
            ("cart", cart_id, CompleteCheckout(order_id), SYSTEM),
        ):
            await local.client.ask(kind, id_, command, actor=actor)
    stored = await everything(database_url)
    assert order_id.encode() in stored
    for word in (b"Lindenweg", b"Sankt Beispiel", b"Winterhalter", b"Soup"):
        assert word not in stored
    async with PostgresJournal(database_url) as journal, LocalRuntime(journal, journal, KINDS, keys=keys) as local:
        seen = await local.client.read("order", order_id, actor=owner)
    assert msgspec.json.decode(seen.view)["address"]["line1"] == "Lindenweg 17"

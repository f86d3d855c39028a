"""A masked copy: nothing personal in it, rows that still belong together, the same pseudonyms each time."""

import re
import zipfile
from io import BytesIO

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from actors.kinds import KINDS
from domain.ids import is_uuid, new_id
from services.privacy.masked_export import MaskedExport, masking_key
from storage.models import Base
from storage.privacy.masking import LEFT_OUT, PLAIN, Masker
from storage.sealed_columns import PLAIN as SEALED
from tests.services.privacy.household import EMAIL, NAME, NOTE, STREET, Household, open_household

PHONE = "+12025550175"
KEY = b"k" * 32


@pytest.fixture
async def household(database_url, tmp_path):
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


async def masked(household: Household, key: bytes = KEY) -> dict[str, list[dict]]:
    file = BytesIO()
    counts = await MaskedExport(household.database, household.keys, KINDS, Masker(key)).write(file)
    with zipfile.ZipFile(file) as archive:
        found = {
            name.removesuffix(".jsonl"): [msgspec.json.decode(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
        }
    assert {name: len(rows) for name, rows in found.items()} == counts
    return found


@pytest.mark.stack
async def test_nothing_personal_is_in_the_copy(household):
    await household.stores.users.put_profile(
        household.grace, name=NAME, phone=PHONE, locale="en", time_zone="UTC", expected=-1, now_ms=1_772_357_400_000
    )
    await household.export()
    text = str(await masked(household))
    async with household.database.session() as session:
        hashes = (await session.execute(sa.text("SELECT hash FROM refresh_tokens"))).scalars().all()
        email_hashes = (await session.execute(sa.text("SELECT email_hash FROM users"))).scalars().all()
    ids = {household.grace, household.other, household.order_id, household.document_id}
    secrets = {value.hex() for value in (*hashes, *email_hashes)}
    words = {EMAIL, NAME, *NAME.split(), "hopper", PHONE, STREET, NOTE, "Arlington", "bob@example.com", "Bob", "38.88"}
    words |= {"Ice applied", "phone"}
    assert not [word for word in (*words, *ids, *secrets) if word.lower() in text.lower()]


@pytest.mark.stack
async def test_rows_still_belong_together_and_money_stays(household):
    copy = await masked(household)
    people = {row["id"] for row in copy["users"]}
    assert len(people) == 2
    assert {row["user_id"] for row in copy["orders"]} == people
    assert {row["courier_id"] for row in copy["orders"]} == people
    assert {row["owner"] for row in copy["carts"]} == people
    assert {row["cart_id"] for row in copy["orders"]} == {row["id"] for row in copy["carts"]}
    assert {row["merchant_id"] for row in copy["orders"]} <= {row["id"] for row in copy["organizations"]}
    orders = [row for row in copy["journal"] if row["kind"] == "order"]
    assert {row["id"] for row in orders} == {row["id"] for row in copy["orders"]}
    placed = [event for row in orders for event in row["events"] if event["type"] == "placed"]
    assert {event["user_id"] for event in placed} == people
    assert [event["total_minor"] for event in placed] == [400, 400]
    assert [row["total_minor"] for row in copy["orders"]] == [400, 400]


@pytest.mark.stack
async def test_the_same_key_gives_the_same_pseudonyms_and_another_one_others(household):
    first, again, other = [await masked(household, key) for key in (KEY, KEY, b"o" * 32)]
    assert first == again
    assert {row["id"] for row in first["users"]}.isdisjoint(row["id"] for row in other["users"])


@pytest.mark.stack
async def test_clinical_journals_and_secrets_are_not_in_the_copy(household):
    copy = await masked(household)
    assert {row["kind"] for row in copy["journal"]} == {"cart", "order"}
    assert not LEFT_OUT & set(copy)
    assert {"users", "orders", "carts", "documents", "memberships", "organizations", "journal"} <= set(copy)


def test_tables_that_hold_nothing_but_secrets_are_left_out():
    tables = set(Base.metadata.tables)
    assert tables >= LEFT_OUT - {"alembic_version"}
    secret = {table for table, *_ in SEALED} - {"users", "emergency_access"}
    assert secret <= LEFT_OUT


@given(st.text(min_size=6).filter(lambda text: not re.fullmatch(r"[0-9a-f-]+|masked.*", text)))
def test_no_text_shows_through_its_pseudonym(text):
    one = Masker(KEY)
    shown = one.value("device", text)
    assert text not in shown
    assert shown == one.value("name", text)
    assert shown != Masker(b"o" * 32).value("device", text)


@given(st.uuids())
def test_ids_become_other_ids_also_within_a_text(value):
    one, text = Masker(KEY), str(value)
    assert is_uuid(one.id(text))
    assert one.text(text) == one.id(text) != text
    assert one.text(f"guest:{text}") == f"guest:{one.id(text)}"


@pytest.mark.parametrize("text", ["Ada Lovelace, blue door, {id}", "{id} Ada Lovelace", "Ada:{id}", "{id}\nAda"])
def test_what_somebody_wrote_beside_an_id_is_masked_with_it(text):
    one, id_ = Masker(KEY), new_id()
    assert re.fullmatch(r"masked-[0-9a-f]{10}", one.value("instructions", text.format(id=id_)))


@given(st.recursive(st.text(min_size=6), lambda inner: st.dictionaries(st.sampled_from(["a", "note"]), inner)))
def test_what_is_within_a_document_is_masked_too(value):
    masked_value = Masker(KEY).value("note", value)
    assert isinstance(masked_value, type(value))

    def texts(each):
        return [each] if isinstance(each, str) else [text for inner in each.values() for text in texts(inner)]

    shown = texts(masked_value)
    assert all(re.fullmatch(r"masked-[0-9a-f]{10}", text) for text in shown)


def test_positions_and_bytes_stay_out_and_words_of_the_program_stay():
    one = Masker(KEY)
    assert one.document({"lat": 1.5, "lon": 2.5, "status": "placed", "raw": b"x", "count": 3, "ok": True}) == {
        "status": "placed",
        "count": 3,
        "ok": True,
    }
    assert "name" not in PLAIN
    assert "device" not in PLAIN


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path):
    assert masking_key(tmp_path / new_id()) != masking_key(tmp_path / "keys")
    assert masking_key(tmp_path / "keys") == masking_key(tmp_path / "keys")
    assert (tmp_path / "keys" / "masking.key").stat().st_mode & 0o777 == 0o600

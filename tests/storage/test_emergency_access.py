"""Emergency access on Postgres: one grant for one thing, counted, sealed, ended and reviewed once."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from domain.ids import new_id
from storage.crypto import KeyRing
from storage.emergency_access import EmergencyAccessTables, Grant

pytestmark = pytest.mark.stack

NOW = 1_772_357_400_000
LASTS = 3_600_000


def grant(**changes):
    full = Grant(
        id=new_id(),
        subject="u1",
        organization_id="o1",
        patient_id="p1",
        document_id="d1",
        reason="Unconscious; allergies must be known.",
        granted_at_ms=NOW,
        expires_at_ms=NOW + LASTS,
    )
    return msgspec.structs.replace(full, **changes)


async def add(tables, wanted, count_max=20):
    return await tables.add(wanted, since_ms=NOW - LASTS, count_max=count_max)


@pytest.fixture
def tables(database):
    return EmergencyAccessTables(database, KeyRing.ephemeral())


async def test_a_grant_reads_back_and_its_words_lie_sealed(database, tables):
    kept = grant()
    assert await add(tables, kept) == kept
    assert await tables.grant(kept.id) == kept
    assert await tables.review(kept.id, "u2", "Allergic to latex.", NOW + 5)
    found = await tables.grant(kept.id)
    assert (found.reviewed_by, found.reviewed_at_ms, found.note) == ("u2", NOW + 5, "Allergic to latex.")
    async with database.session() as session:
        reason, note = (await session.execute(sa.text("SELECT reason, note FROM emergency_access"))).one()
    assert b"allergies" not in reason
    assert b"latex" not in note


async def test_one_person_has_one_grant_for_one_patient_at_a_time_however_many_ask_at_once(tables):
    found = await asyncio.gather(*(add(tables, grant()) for _ in range(8)))
    assert len({one.id for one in found}) == 1
    others = [grant(patient_id="p2"), grant(organization_id="o2"), grant(subject="u2")]
    assert [(await add(tables, one)).id for one in others] == [one.id for one in others]


async def test_grants_are_counted_by_person_and_time(tables):
    for number in range(3):
        assert await add(tables, grant(patient_id=f"p{number}"), count_max=3) is not None
    assert await add(tables, grant(patient_id="p9"), count_max=3) is None
    assert await add(tables, grant(patient_id="p9", subject="u2"), count_max=3) is not None
    later = grant(patient_id="p9", granted_at_ms=NOW + 1, expires_at_ms=NOW + LASTS)
    assert await tables.add(later, since_ms=NOW, count_max=3) is not None


async def test_what_has_expired_or_was_ended_is_not_active(tables):
    one, two = await add(tables, grant()), await add(tables, grant(organization_id="o2"))
    assert {each.id for each in await tables.active("u1", "p1", NOW)} == {one.id, two.id}
    assert await tables.revoke(one.id, "u2", NOW + 1)
    assert not await tables.revoke(one.id, "u3", NOW + 2)
    assert [each.id for each in await tables.active("u1", "p1", NOW + 2)] == [two.id]
    assert await tables.active("u1", "p1", NOW + LASTS) == []
    assert not await tables.revoke(two.id, "u2", NOW + LASTS)
    assert await tables.active("u1", "p2", NOW) == []


async def test_a_grant_is_reviewed_once(tables):
    kept = await add(tables, grant())
    assert await tables.review(kept.id, "u2", "", NOW)
    assert not await tables.review(kept.id, "u3", "x", NOW)
    assert (await tables.grant(kept.id)).note == ""


async def test_lists_are_paged_newest_first_by_organization(tables):
    made = [await add(tables, grant(patient_id=f"p{n}", granted_at_ms=NOW + n % 2)) for n in range(4)]
    await add(tables, grant(organization_id="o2"))
    await tables.review(made[0].id, "u2", "", NOW)
    first = await tables.grants(("o1",), unreviewed=False, after=None, limit=3)
    place = (first[-1].granted_at_ms, first[-1].id)
    rest = await tables.grants(("o1",), unreviewed=False, after=place, limit=3)
    seen = [each.id for each in (*first, *rest)]
    assert seen == [each.id for each in sorted(made, key=lambda one: (one.granted_at_ms, one.id), reverse=True)]
    assert len(await tables.grants(("o1",), unreviewed=True, after=None, limit=9)) == 3
    assert await tables.grants((), unreviewed=False, after=None, limit=9) == []

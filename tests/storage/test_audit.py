"""The audit trail on Postgres: what is in it stays, in the order of commits."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from storage.audit import AuditTables, Event, EventFilter
from storage.audit_reading import AuditChain
from storage.crypto import KeyRing

pytestmark = pytest.mark.stack

READ = Event(
    at_ms=1_772_357_400_123,
    actor="u1",
    action="read",
    kind="document",
    object_id="d1",
    organization_id="o1",
    patient_id="p1",
    correlation="c1",
)


def event(**changes):
    return msgspec.structs.replace(READ, **changes)


async def listed(tables, limit=10, **wanted):
    found = await tables.events(EventFilter(organization_ids=wanted.pop("orgs", ("o1",)), **wanted), limit)
    return [one.object_id for one in found]


async def test_an_event_reads_back_as_it_was_written(database):
    tables = AuditTables(database)
    full = event(outcome="forbidden", reason="why", device="tablet-1")
    await tables.add([full])
    (found,) = await tables.events(EventFilter(organization_ids=("o1",)), 10)
    assert found.position > 0
    assert msgspec.structs.replace(found, position=0) == full


async def test_a_purpose_a_grant_and_what_was_changed_read_back_and_lie_sealed(database):
    keys = KeyRing.ephemeral()
    tables = AuditTables(database, keys)
    full = event(purpose="operations", grant_id="g1", before={"roles": ["admin"]}, after={"email": "a***@e***.test"})
    await tables.add([full, event()])
    plain, found = await tables.events(EventFilter(organization_ids=("o1",)), 10)
    assert msgspec.structs.replace(found, position=0) == full
    assert (plain.before, plain.after) == ({}, {})
    async with database.session() as session:
        kept = (await session.execute(sa.text("SELECT changes FROM audit_events ORDER BY position"))).scalars().all()
    assert b"admin" not in kept[0]
    assert kept[1] == b""
    (_, unreadable) = await AuditTables(database, KeyRing.ephemeral()).events(EventFilter(organization_ids=("o1",)), 10)
    assert (unreadable.purpose, unreadable.before) == ("operations", {})
    assert (await AuditChain(database).verify()).broken is None


async def test_what_was_changed_is_not_written_without_keys(database):
    with pytest.raises(ValueError, match="without keys"):
        await AuditTables(database).add([event(before={"roles": []}, after={"roles": ["admin"]})])


async def test_events_are_found_by_object_actor_and_patient_of_ones_own_organizations(database):
    tables = AuditTables(database)
    await tables.add([event(object_id="d1"), event(object_id="d2", actor="u2"), event(object_id="d3", patient_id="p2")])
    await tables.add([event(object_id="d4", organization_id="o2")])
    assert await listed(tables) == ["d3", "d2", "d1"]
    assert await listed(tables, object_id="d2") == ["d2"]
    assert await listed(tables, actor="u1") == ["d3", "d1"]
    assert await listed(tables, patient_id="p2") == ["d3"]
    assert await listed(tables, orgs=("o1", "o2"), limit=2) == ["d4", "d3"]
    assert await listed(tables, orgs=("o3",)) == []


async def test_positions_page_backwards_and_follow_forwards(database):
    tables = AuditTables(database)
    await tables.add([event(object_id=f"d{number}") for number in range(5)])
    page = await tables.events(EventFilter(organization_ids=("o1",)), 2)
    assert [one.object_id for one in page] == ["d4", "d3"]
    assert await listed(tables, before=page[-1].position) == ["d2", "d1", "d0"]
    await tables.add([event(object_id="d5")])
    assert await listed(tables, after=page[0].position) == ["d5"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE false",
        "TRUNCATE audit_events",
        "INSERT INTO audit_events SELECT * FROM audit_events",
    ],
)
async def test_what_is_in_the_trail_cannot_be_changed_or_taken_out(database, statement):
    tables = AuditTables(database)
    await tables.add([READ])
    with pytest.raises(sa.exc.DBAPIError):
        async with database.session() as session:
            await session.execute(sa.text(statement))
    assert await listed(tables) == ["d1"]


async def test_whoever_follows_the_trail_misses_no_batch_of_another_writer(database):
    tables = AuditTables(database)
    seen: list[str] = []
    after = 0
    writers = asyncio.gather(*(tables.add([event(object_id=f"d{n}-{m}") for m in range(20)]) for n in range(20)))
    while len(seen) < 400:
        found = await tables.events(EventFilter(organization_ids=("o1",), after=after), 500)
        seen += [one.object_id for one in found]
        after = max([after, *(one.position for one in found)])
    await writers
    assert len(set(seen)) == len(seen) == 400

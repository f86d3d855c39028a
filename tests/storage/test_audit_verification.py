"""The chain on Postgres: what somebody with all rights does to the table shows."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from storage import audit_reading, migrate
from storage.audit import AuditTables
from storage.audit_chain import START, Head
from storage.audit_reading import ALTERED, INSERTED, MISSING, OTHER_HEAD, AuditChain, Break
from storage.crypto import KeyRing
from storage.db import make_engine
from tests.storage.test_audit import READ, event

pytestmark = pytest.mark.stack


@pytest.fixture
async def chain(database):
    """The events of the first two batches are of the first form, the others have more to say."""
    tables = AuditTables(database, KeyRing.ephemeral())
    for batch in range(4):
        more = {"purpose": "operations", "grant_id": "g1", "after": {"roles": ["admin"]}} if batch > 1 else {}
        batches = [event(object_id=f"d{batch}-{number}", device="é\U0001f5d2", **more) for number in range(3)]
        await tables.add(batches)
    return AuditChain(database)


async def tamper(database, *statements):
    """As the owner of the database, who can switch the trigger off."""
    async with database.session() as session:
        await session.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay"))
        for statement in statements:
            await session.execute(sa.text(statement))
        await session.execute(sa.text("ALTER TABLE audit_events ENABLE TRIGGER audit_events_stay"))


async def test_the_trail_as_it_was_written_is_right(chain):
    found = await chain.verify()
    assert (found.checked, found.last, found.broken) == (12, found.head, None)
    assert found.head == await chain.head()


async def test_an_empty_trail_is_right(database):
    found = await AuditChain(database).verify()
    assert (found.checked, found.head, found.broken) == (0, START, None)


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'nobody'",
        "at = at + interval '1 microsecond'",
        "outcome = 'forbidden'",
        "patient_id = ''",
        "hash = decode(repeat('00', 32), 'hex')",
        "position = 700",
        "purpose = 'treatment'",
        "purpose = ''",
        "grant_id = 'g2'",
        "changes = set_byte(changes, 20, get_byte(changes, 20) # 1)",
        "changes = ''",
    ],
)
async def test_an_altered_row_is_found_where_it_is(database, chain, change):
    await tamper(database, f"UPDATE audit_events SET {change} WHERE position = 7")
    found = await chain.verify()
    where = 8 if change.startswith("position") else 7  # it is no longer there
    assert (found.checked, found.broken) == (6, Break(where, ALTERED))


async def test_a_removed_row_is_found_at_the_next_one(database, chain):
    await tamper(database, "DELETE FROM audit_events WHERE position = 5")
    assert (await chain.verify()).broken == Break(6, ALTERED)


async def test_two_exchanged_rows_are_found(database, chain):
    await tamper(
        database,
        "UPDATE audit_events SET position = 100 WHERE position = 3",
        "UPDATE audit_events SET position = 3 WHERE position = 9",
        "UPDATE audit_events SET position = 9 WHERE position = 100",
    )
    assert (await chain.verify()).broken == Break(3, ALTERED)


async def test_rows_taken_off_the_end_are_missed(database, chain):
    await tamper(database, "DELETE FROM audit_events WHERE position > 9")
    assert (await chain.verify()).broken == Break(10, MISSING)


async def test_rows_put_behind_the_end_are_found(database, chain):
    columns = "at, actor, action, kind, object_id, patient_id, outcome, reason, device, correlation, organization_id"
    put_in = f"INSERT INTO audit_events SELECT 13, {columns}, hash FROM audit_events WHERE position = 12"
    await tamper(database, put_in)
    assert (await chain.verify()).broken == Break(13, INSERTED)


async def test_with_a_head_that_was_kept_a_shortened_or_new_chain_shows_too(database, chain):
    kept = await chain.head()
    await AuditTables(database).add([READ])
    assert (await chain.verify(kept=kept)).broken is None
    await tamper(
        database,
        "DELETE FROM audit_events WHERE position > 9",
        "UPDATE audit_head SET (position, hash) = (SELECT position, hash FROM audit_events WHERE position = 9)",
    )
    assert (await chain.verify()).broken is None
    assert (await chain.verify(kept=kept)).broken == Break(10, MISSING)
    await AuditTables(database).add([READ] * 5)
    assert (await chain.verify()).broken is None
    assert (await chain.verify(kept=kept)).broken == Break(12, OTHER_HEAD)
    assert (await chain.verify(kept=Head(0, bytes(32)))).broken is None


async def test_a_long_trail_is_walked_by_pages_and_by_ranges(database, chain):
    await AuditTables(database).add([READ] * (2 * audit_reading.PAGE_EVENTS))
    seen = []
    whole = await chain.verify(progress=lambda position, last: seen.append((position, last)))
    last = 2 * audit_reading.PAGE_EVENTS + 12
    assert whole.checked == last == seen[-1][0]
    assert len(seen) == 3
    checked = after = 0
    while after < last:
        part = await chain.verify(after=after, limit=audit_reading.PAGE_EVENTS + 1)
        assert part.broken is None
        checked, after = checked + part.checked, part.last.position
    assert checked == last
    assert (await chain.verify(after=last)).checked == 0


async def test_a_range_says_what_is_wrong_in_it_only(database, chain):
    await tamper(database, "UPDATE audit_events SET actor = 'nobody' WHERE position = 7")
    assert (await chain.verify(limit=6)).broken is None
    assert (await chain.verify(after=6, limit=1)).broken == Break(7, ALTERED)
    assert (await chain.verify(after=7)).broken is None


async def test_it_can_be_verified_while_gateways_write(database, chain):
    writers = asyncio.gather(*(AuditTables(database).add([READ] * 10) for _ in range(20)))
    while not writers.done():
        assert (await chain.verify()).broken is None
        await asyncio.sleep(0)
    await writers
    assert (await chain.verify()).checked == 212


async def test_a_trail_of_an_older_release_is_chained_by_the_migration(database_url, database):
    engine = make_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(_back_to_unchained_and_forth)
    await engine.dispose()
    found = await AuditChain(database).verify()
    assert (found.checked, found.broken) == (3, None)
    assert found.head.position == 4  # what was rolled back once had left a gap
    await AuditTables(database).add([msgspec.structs.replace(READ, object_id="d5")])
    assert (await AuditChain(database).verify()).checked == 4
    with pytest.raises(sa.exc.DBAPIError):
        async with database.session() as session:
            await session.execute(sa.text("DELETE FROM audit_events"))


def _back_to_unchained_and_forth(connection):
    migrate.migrate_to(connection, "0007")
    columns = "at, actor, action, kind, object_id, patient_id, outcome, reason, device, correlation, organization_id"
    for number in range(4):
        connection.execute(
            sa.text(
                f"INSERT INTO audit_events ({columns}) VALUES "
                f"(now(), 'u{number}', 'read', 'document', 'd', 'p', '', '', '', 'c', 'o')"
            )
        )
        if number == 1:
            connection.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
            connection.execute(sa.text("DELETE FROM audit_events WHERE actor = 'u1'"))
            connection.execute(sa.text("ALTER TABLE audit_events ENABLE TRIGGER USER"))
    migrate.migrate_to(connection, migrate.head_revision())

"""Lists of provider sessions, from rows that the journal wrote."""

import pytest

from storage.journal.interface import IndexWrite
from storage.journal.postgres import PostgresJournal
from storage.sessions import SessionFilter, SessionTables
from tests.storage.journal_rows import NOW, row

pytestmark = pytest.mark.stack


@pytest.fixture
async def journal(database_url):
    async with PostgresJournal(database_url) as one:
        yield one


def session(id, at=NOW, *, clinic="c1", location="l1", user="pia", status="active", quarantined=0):
    columns = {
        "organization_id": clinic,
        "location_id": location,
        "user_id": user,
        "device_id": "tablet-" + id,
        "status": status,
        "access": "granted",
        "room_id": None,
        "patient_id": None,
        "quarantined": quarantined,
        "created_at": at,
        "updated_at": at + 5,
    }
    return row(id, 1, kind="session", index=IndexWrite("provider_sessions", columns))


async def _write(journal, *rows):
    await journal.commit(await journal.take_epoch("h"), rows, [])


async def test_a_session_is_listed_as_its_commit_wrote_it(journal, database):
    await _write(journal, session("s1", location=None, quarantined=3))
    (found,) = await SessionTables(database).sessions(SessionFilter(), None, 10)
    assert (found.id, found.organization_id, found.location_id, found.user_id) == ("s1", "c1", "", "pia")
    assert (found.device_id, found.status, found.access, found.quarantined) == ("tablet-s1", "active", "granted", 3)
    assert (found.room_id, found.patient_id) == ("", "")
    assert (found.created_at_ms, found.updated_at_ms) == (NOW, NOW + 5)


async def test_sessions_are_filtered_by_clinic_location_person_status_and_quarantine(journal, database):
    await _write(
        journal,
        session("s1", NOW),
        session("s2", NOW + 1, location="l2", quarantined=1),
        session("s3", NOW + 2, user="quinn", status="ended"),
        session("s4", NOW + 3, clinic="c2"),
    )

    async def ids(**wanted):
        return [one.id for one in await SessionTables(database).sessions(SessionFilter(**wanted), None, 10)]

    assert await ids() == ["s4", "s3", "s2", "s1"]
    assert await ids(organization_ids=("c1",)) == ["s3", "s2", "s1"]
    assert await ids(location_id="l2") == ["s2"]
    assert await ids(user_id="quinn") == ["s3"]
    assert await ids(statuses=("active", "away"), organization_ids=("c1",)) == ["s2", "s1"]
    assert await ids(quarantined=True) == ["s2"]


async def test_sessions_page_newest_first_also_within_one_millisecond(journal, database):
    await _write(journal, *(session(f"s{number}", NOW + number // 3) for number in range(7)))
    tables, after, seen = SessionTables(database), None, []
    while page := await tables.sessions(SessionFilter(location_id="l1"), after, 3):
        seen += [one.id for one in page]
        after = (page[-1].created_at_ms, page[-1].id)
    assert seen == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]

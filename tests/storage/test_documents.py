"""Lists of documents, from rows that the journal wrote."""

import pytest

from actors.document_status import DocumentStatus
from storage.documents import DocumentFilter, DocumentTables
from storage.journal.interface import IndexWrite
from storage.journal.postgres import PostgresJournal
from tests.storage.journal_rows import NOW, row

pytestmark = pytest.mark.stack


@pytest.fixture
async def journal(database_url):
    async with PostgresJournal(database_url) as one:
        yield one


def document(id, at=NOW, **changes):
    columns = {
        "organization_id": "o1",
        "location_id": "l1",
        "patient_id": "p1",
        "visit_id": None,
        "template": "botox",
        "status": "draft",
        "author": "pia",
        "signer": None,
        "cosigner": None,
        "participants": ("pia",),
        "conflicts_count": 0,
        "alerts_count": 0,
        "created_at": at,
        "updated_at": at + 5,
        **changes,
    }
    return row(id, 1, kind="document", index=IndexWrite("documents", columns))


async def _write(journal, *rows):
    await journal.commit(await journal.take_epoch("h"), rows, [])


@pytest.fixture
def ids(database):
    async def listed(after=None, limit=10, **wanted):
        wanted = DocumentFilter(**{"organization_ids": ("o1",), **wanted})
        return [one.id for one in await DocumentTables(database).documents(wanted, after, limit)]

    return listed


async def test_a_document_is_listed_as_its_commit_wrote_it(journal, database):
    await _write(journal, document("d1", visit_id="v1", status="pending_cosign", signer="pia", conflicts_count=2))
    found = (await DocumentTables(database).by_id(["d1", "none"]))["d1"]
    assert (found.version, found.visit_id, found.signer, found.cosigner) == (1, "v1", "pia", "")
    assert (found.created_at_ms, found.updated_at_ms, found.conflicts_count) == (NOW, NOW + 5, 2)


async def test_documents_are_found_by_patient_location_status_and_participant(journal, ids):
    await _write(
        journal,
        document("d1", NOW),
        document("d2", NOW + 1, patient_id="p2", status="signed"),
        document("d3", NOW + 2, location_id="l2", participants=("pia", "quinn")),
        document("d4", NOW + 3, organization_id="o2"),
    )
    assert await ids() == ["d3", "d2", "d1"]
    assert await ids(patient_id="p1") == ["d3", "d1"]
    assert await ids(location_id="l1", statuses=(DocumentStatus.DRAFT, DocumentStatus.READY)) == ["d1"]
    assert await ids(participant="quinn") == ["d3"]
    assert await ids(participant="qu") == []
    assert await ids(organization_ids=("o1", "o2")) == ["d4", "d3", "d2", "d1"]
    assert await ids(organization_ids=()) == []


async def test_the_queue_has_what_one_may_cosign(journal, ids):
    pending = {"status": "pending_cosign", "signer": "pia"}
    await _write(
        journal,
        document("anyone", NOW, **pending),
        document("quinns", NOW + 1, **pending, cosigner="quinn"),
        document("others", NOW + 2, **pending, cosigner="omar"),
        document("own", NOW + 3, status="pending_cosign", signer="quinn"),
        document("draft", NOW + 4),
    )
    assert await ids(statuses=(DocumentStatus.PENDING_COSIGN,), cosigner="quinn") == ["quinns", "anyone"]
    assert await ids(statuses=("pending_cosign",), cosigner="pia") == ["own"]


async def test_documents_page_newest_first_also_within_one_millisecond(journal, database):
    await _write(journal, *(document(f"d{number}", NOW + number // 3) for number in range(8)))
    tables, after, seen = DocumentTables(database), None, []
    while page := await tables.documents(DocumentFilter(organization_ids=("o1",)), after, 3):
        seen += [one.id for one in page]
        after = (page[-1].created_at_ms, page[-1].id)
    assert seen == ["d7", "d6", "d5", "d4", "d3", "d2", "d1", "d0"]


async def test_a_list_in_a_row_of_the_index_follows_its_entity(journal, ids):
    await _write(journal, document("d1"), document("d2", participants=('a"b', "\\", "ü")))
    newer = row("d1", 2, kind="document", index=document("d1", participants=()).index)
    await _write(journal, newer)
    assert await ids(participant="pia") == []
    assert await ids(participant='a"b') == await ids(participant="ü") == ["d2"]

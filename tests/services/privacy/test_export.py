"""An export has everything of one person, nothing of others, and is readable by nobody on the disk."""

import pytest

from domain.ids import new_id
from services.privacy.export import FORMAT, path_of
from storage.models import PersonalExport
from storage.privacy.records import ErasureRecord
from storage.privacy.registry import REGISTRY, Ground
from tests.services.privacy.household import CLOCK, EMAIL, NAME, NOTE, STREET, open_household

pytestmark = pytest.mark.stack


@pytest.fixture
async def household(database_url, tmp_path):
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


async def test_an_export_has_a_file_for_every_noun_and_says_what_and_why_in_its_manifest(household):
    files = await household.export()
    nouns = [entry for entry in REGISTRY if entry.exported]
    assert set(files) == {"manifest.json", *(f"{entry.noun}.json" for entry in nouns)}
    manifest = files["manifest.json"]
    assert (manifest["format"], manifest["person"]) == (FORMAT, household.grace)
    for described, entry in zip(manifest["nouns"], nouns, strict=True):
        assert described["count"] == len(files[described["file"]])
        assert described.get("ground", "") == entry.ground
    assert {entry.ground for entry in nouns} > {Ground.NONE}


async def test_an_export_shows_the_person_and_what_they_did(household):
    files = await household.export()
    (account,) = files["account.json"]
    assert (account["email"], account["name"]) == (EMAIL, NAME)
    assert [login["device"] for login in files["logins.json"]] == [f"{NAME}'s phone"]
    (order,) = files["orders.json"]
    assert (order["address"]["line1"], order["instructions"]) == (STREET, NOTE)
    assert [entry["status"] for entry in order["history"] if "status" in entry][-1] == "completed"
    (delivery,) = files["deliveries.json"]
    assert [(each["lat"], each["lon"]) for each in delivery["positions"]] == [(38.8816, -77.091)]
    (record,) = files["medical_records.json"]
    assert "Ice applied to Grace." in str(record)
    assert [event["object_id"] for event in files["audit.json"]] == [household.document_id]


async def test_an_export_has_nothing_of_others_and_no_secret(household):
    files = await household.export()
    text = str(files)
    assert "bob@example.com" not in text
    (order,) = files["orders.json"]
    assert "position" not in order
    assert "38.88" not in str(order)
    (delivery,) = files["deliveries.json"]
    assert STREET not in str(delivery)
    for secret in ("password_hash", "email_hash", "'hash'", "successor", "file_key"):
        assert secret not in text


async def test_the_file_is_sealed_and_opens_no_more_when_its_row_is_gone(household):
    await household.export()
    found = await household.records.export(household.grace, CLOCK.now_ms())
    content = path_of(household.folder, found.id).read_bytes()
    assert EMAIL.encode() not in content
    assert b"PK" not in content[:64]
    await household.records.remove_exports([found.id])
    assert await household.records.export(household.grace, CLOCK.now_ms()) is None


async def test_no_export_is_kept_once_an_erasure_has_begun(household):
    begun = ErasureRecord(user_id=household.grace, job_id=new_id(), asked_by="ada", outcome={}, started_at_ms=1)
    await household.records.begin_erasure(begun)
    job = await household.jobs.start("user_export", household.grace, owner="ada", person=household.grace)
    assert await household.runner.run_due("p1") == 1
    assert (await household.store.job(job.id)).status == "cancelled"
    assert await household.records.export(household.grace, CLOCK.now_ms()) is None
    assert list(household.folder.iterdir()) == []


async def test_an_expired_export_is_not_found(household):
    await household.export()
    later = CLOCK.now_ms() + 8 * 24 * 3_600_000
    assert await household.records.export(household.grace, later) is None
    assert len(await household.records.export_ids(expired_at_ms=later)) == 1


async def test_an_export_that_was_killed_begins_anew(household):
    job = await household.jobs.start("user_export", household.grace, owner=household.grace, person=household.grace)
    await household.store.claim(("user_export",), "dead", -1.0, 1)
    household.folder.mkdir(parents=True)
    (household.folder / f"{job.id}.part").write_bytes(b"half")
    assert await household.runner.run_due("p2") == 1
    assert (await household.store.job(job.id)).status == "succeeded"
    assert [path.name for path in household.folder.iterdir()] == [f"{job.id}.zip.sealed"]
    async with household.database.session() as session:
        row = await session.get(PersonalExport, job.id)
    assert row.user_id == household.grace

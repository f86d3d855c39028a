"""Jobs, exports and erasures over HTTP."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from domain.ids import new_id
from services.jobs.running import JobRunner, Work
from services.privacy.archive import Archive
from services.privacy.export import path_of, place_of
from services.privacy.service import Privacy
from storage.privacy.records import ExportRecord
from storage.sealed_files import new_file_key
from tests.serve.access.accounts import address_of, give_accounts
from tests.serve.house import ADMIN, ALICE, BOB, House
from tests.services.accounts.people import PASSWORD

EXPORT = f"/api/v1/users/{ALICE}/export"
DAY_MS = 24 * 3_600_000


@pytest.fixture
async def lived(house: House, tmp_path: Path) -> House:
    """A house whose people have accounts, with a folder for exports."""
    await give_accounts(house)
    privacy = house.gateway.privacy
    assert privacy is not None
    house.gateway.privacy = Privacy(privacy.jobs, house.privacy_store, tmp_path, house.gateway.audit, house.clock)
    return house


def platform(house: House) -> dict[str, str]:
    return house.bearer(ADMIN, "admin")


async def run(house: House, folder: Path) -> None:
    """Run what is due as the reactor would; an export is a zip with one file."""

    async def export(work: Work) -> dict[str, Any]:
        job, key = work.job, new_file_key()
        with Archive(path_of(folder, job.id), key, place_of(job.id)) as archive:
            archive.document("account.json", {"id": job.person})
        house.privacy_store.exports[job.person] = ExportRecord(
            id=job.id,
            user_id=job.person,
            file_key=key,
            size_bytes=archive.size_bytes,
            files=1,
            created_at_ms=house.clock.now_ms(),
            expires_at_ms=house.clock.now_ms() + DAY_MS,
        )
        return {"files": 1}

    async def nothing(_: Work) -> dict[str, Any]:
        return {}

    handlers = {"user_export": export, "user_erasure": nothing, "retention": nothing}
    assert await JobRunner(house.jobs, handlers, house.clock).run_due("p1") == 1


async def trail(house: House) -> list[tuple[str, str, str]]:
    await house.gateway.audit.close()
    events = house.gateway.audit_store.kept  # type: ignore[attr-defined]
    return [(event.actor, event.action, event.object_id) for event in events if event.kind == "user"]


async def test_an_export_is_started_looked_at_and_downloaded(lived: House, tmp_path: Path) -> None:
    started = await lived.http.get(EXPORT, headers=lived.bearer())
    assert started.status_code == 202
    job = started.json()
    assert (job["kind"], job["status"], job["user_id"]) == ("user_export", "queued", ALICE)
    assert "download" not in job
    again = await lived.http.get(EXPORT, headers=lived.bearer())
    assert again.json()["id"] == job["id"]
    await run(lived, tmp_path)
    ended = await lived.http.get(started.headers["location"], headers=lived.bearer())
    assert (ended.json()["status"], ended.json()["result"]) == ("succeeded", {"files": 1})
    ready = await lived.http.get(EXPORT, headers=lived.bearer())
    assert (ready.status_code, ready.json()["id"]) == (200, job["id"])
    file = await lived.http.get(ready.json()["download"], headers=lived.bearer())
    assert file.status_code == 200
    assert file.headers["content-type"] == "application/zip"
    assert file.headers["cache-control"] == "no-store"
    assert "attachment" in file.headers["content-disposition"]
    with zipfile.ZipFile(BytesIO(file.content)) as archive:
        assert ALICE in archive.read("account.json").decode()
    assert lived.privacy_store.downloads == [job["id"]]
    assert await trail(lived) == [(ALICE, "export", ALICE), (ALICE, "export_download", ALICE)]


async def test_the_download_asks_for_a_login_just_now(lived: House, tmp_path: Path) -> None:
    await lived.http.get(EXPORT, headers=lived.bearer())
    await run(lived, tmp_path)
    old = lived.bearer()
    lived.clock.advance(seconds=600)
    refused = await lived.http.get(f"{EXPORT}/file", headers=old)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")


async def test_an_expired_export_is_gone_and_the_next_call_starts_another(lived: House, tmp_path: Path) -> None:
    first = (await lived.http.get(EXPORT, headers=lived.bearer())).json()
    await run(lived, tmp_path)
    lived.clock.advance(seconds=2 * 24 * 3_600)
    assert (await lived.http.get(f"{EXPORT}/file", headers=lived.bearer())).status_code == 404
    second = await lived.http.get(EXPORT, headers=lived.bearer())
    assert second.status_code == 202
    assert second.json()["id"] != first["id"]


async def test_a_file_that_is_not_here_is_not_found(lived: House, tmp_path: Path) -> None:
    job = (await lived.http.get(EXPORT, headers=lived.bearer())).json()
    await run(lived, tmp_path)
    path_of(tmp_path, job["id"]).unlink()
    assert (await lived.http.get(f"{EXPORT}/file", headers=lived.bearer())).status_code == 404


async def test_the_platform_starts_an_export_and_does_not_get_the_file(lived: House, tmp_path: Path) -> None:
    started = await lived.http.get(EXPORT, headers=platform(lived))
    assert started.status_code == 202
    await run(lived, tmp_path)
    assert (await lived.http.get(started.headers["location"], headers=lived.bearer())).status_code == 200
    assert (await lived.http.get(f"{EXPORT}/file", headers=platform(lived))).status_code == 404
    assert (await lived.http.get(f"{EXPORT}/file", headers=lived.bearer())).status_code == 200


async def test_nobody_else_knows_of_an_export_or_its_job(lived: House) -> None:
    started = await lived.http.get(EXPORT, headers=lived.bearer())
    for path in (EXPORT, f"{EXPORT}/file", started.headers["location"]):
        assert (await lived.http.get(path, headers=lived.bearer(BOB))).status_code == 404, path
    assert (await lived.http.delete(started.headers["location"], headers=lived.bearer(BOB))).status_code == 404
    assert (await lived.http.get("/api/v1/jobs", headers=lived.bearer(BOB))).json() == {"items": []}
    assert (await lived.http.get(f"/api/v1/users/{new_id()}/export", headers=platform(lived))).status_code == 404


async def test_a_job_is_called_off(lived: House) -> None:
    started = await lived.http.post("/api/v1/jobs", json={"kind": "user_export"}, headers=lived.bearer())
    assert started.status_code == 202
    cancelled = await lived.http.delete(started.headers["location"], headers=lived.bearer())
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


async def test_an_ended_job_cannot_be_called_off(lived: House, tmp_path: Path) -> None:
    started = await lived.http.get(EXPORT, headers=lived.bearer())
    await run(lived, tmp_path)
    refused = await lived.http.delete(started.headers["location"], headers=lived.bearer())
    assert (refused.status_code, refused.json()["code"]) == (409, "job_ended")


async def test_only_the_platform_erases_and_runs_retention(lived: House) -> None:
    for body in ({"kind": "user_erasure", "user_id": ALICE}, {"kind": "retention"}):
        assert (await lived.http.post("/api/v1/jobs", json=body, headers=lived.bearer(BOB))).status_code == 404
        started = await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))
        assert started.status_code == 202, started.text
    assert (ADMIN, "erase", ALICE) in await trail(lived)
    listed = (await lived.http.get("/api/v1/jobs", headers=platform(lived))).json()["items"]
    assert [job["kind"] for job in listed] == ["retention", "user_erasure"]


async def test_who_is_erased_is_shut_out_at_once(lived: House) -> None:
    token = lived.bearer()
    body = {"kind": "user_erasure", "user_id": ALICE}
    assert (await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))).status_code == 202
    assert (await lived.http.get("/api/v1/jobs", headers=token)).status_code == 401


async def test_who_is_to_be_erased_does_not_log_in_again_before_the_job_has_run(lived: House) -> None:
    credentials = {"email": address_of(ALICE), "password": PASSWORD}
    assert (await lived.http.post("/api/v1/auth/login", json=credentials)).status_code == 200
    body = {"kind": "user_erasure", "user_id": ALICE}
    for _ in range(2):  # asked for again, it is the same job
        started = await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))
        assert (started.status_code, started.json()["status"]) == (202, "queued")
    refused = await lived.http.post("/api/v1/auth/login", json=credentials)
    assert (refused.status_code, refused.json()["code"]) == (401, "login_failed")


async def test_the_only_admin_is_not_erased(lived: House) -> None:
    now = lived.clock.now_ms()
    await lived.account_stores.people.set_roles(ALICE, ["customer", "admin"], expected=-1, now_ms=now)
    body = {"kind": "user_erasure", "user_id": ALICE}
    refused = await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    assert lived.jobs.rows == {}
    assert (await lived.http.get("/api/v1/users/profile", headers=lived.bearer())).json()["id"] == ALICE


async def test_an_erasure_asks_for_a_login_just_now_and_minds_a_legal_hold(lived: House) -> None:
    body = {"kind": "user_erasure", "user_id": ALICE}
    old = platform(lived)
    lived.clock.advance(seconds=600)
    refused = await lived.http.post("/api/v1/jobs", json=body, headers=old)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    lived.privacy_store.held.add(ALICE)
    held = await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))
    assert (held.status_code, held.json()["code"]) == (409, "legal_hold")
    assert (await lived.http.get("/api/v1/users/profile", headers=lived.bearer())).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "user_erasure"},
        {"kind": "user_export", "user_id": ALICE},
        {"kind": "user_export", "dry_run": True},
        {"kind": "reindex"},
        {"kind": "retention", "owner": ALICE},
        {},
    ],
)
async def test_a_job_that_makes_no_sense_is_refused(lived: House, body: dict[str, Any]) -> None:
    assert (await lived.http.post("/api/v1/jobs", json=body, headers=platform(lived))).status_code == 422


async def test_jobs_are_listed_page_by_page(lived: House) -> None:
    for _ in range(3):
        started = await lived.http.post("/api/v1/jobs", json={"kind": "user_export"}, headers=lived.bearer())
        await lived.http.delete(started.headers["location"], headers=lived.bearer())
    first = (await lived.http.get("/api/v1/jobs?limit=2", headers=lived.bearer())).json()
    rest = (await lived.http.get(f"/api/v1/jobs?cursor={first['next_cursor']}", headers=lived.bearer())).json()
    ids = [job["id"] for job in (*first["items"], *rest["items"])]
    assert len(set(ids)) == 3
    assert ids == sorted(ids, reverse=True)

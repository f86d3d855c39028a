"""The audit trail over HTTP: every reading, search and refusal of documents, for the clinic's own admins (C8)."""

import pytest

from domain.errors import Unavailable
from domain.ids import new_id
from tests.serve.charting import ADA, FRED, OLGA, PATIENT, PIA, QUINN, Charting
from tests.serve.clinic import CLINIC
from tests.serve.house import House


@pytest.fixture
async def charting(house: House) -> Charting:
    return await Charting(house).open()


async def test_a_reading_names_the_patient_and_the_document(charting: Charting) -> None:
    await charting.send("GET", f"/documentation/{charting.document}", charting.quinn, **{"X-Request-ID": "request-1"})
    (event,) = await charting.trail(f"?actor={QUINN}")
    assert event.pop("position") > 0
    assert event == {
        "at": "2026-03-01T09:30:00.000Z",
        "actor": QUINN,
        "action": "read",
        "kind": "document",
        "object_id": charting.document,
        "organization_id": CLINIC,
        "patient_id": PATIENT,
        "correlation": "request-1",
        "purpose": "treatment",
    }


async def test_changes_histories_and_searches_are_in_the_trail(charting: Charting) -> None:
    await charting.post("/notes", {"text": "x"}, charting.quinn)
    await charting.send("GET", f"/documentation/{charting.document}/history", charting.quinn)
    await charting.send("GET", f"/documentation?patient={PATIENT}", charting.quinn)
    await charting.send("GET", f"/documentation?location={charting.location}", charting.quinn)
    seen = [
        (one["action"], one["kind"], one.get("object_id"), one.get("patient_id"))
        for one in await charting.trail(f"?actor={QUINN}")
    ]
    assert list(reversed(seen)) == [
        ("append_note", "document", charting.document, PATIENT),
        ("history", "document", charting.document, PATIENT),
        ("search", "document", None, PATIENT),
        ("list", "document", charting.document, PATIENT),
        ("search", "location", charting.location, None),
        ("list", "document", charting.document, PATIENT),
    ]


async def test_every_refusal_is_in_the_trail_of_whom_it_protects(charting: Charting) -> None:
    await charting.send("GET", f"/documentation/{charting.document}", charting.stranger)
    await charting.post("/notes", {"text": "x"}, charting.desk)
    await charting.post("/notes", {"text": "x"}, charting.admin)
    await charting.post("/sign", await charting.signature(proof="old"))
    await charting.send("GET", f"/documentation?location={charting.location}", charting.stranger)
    await charting.send("GET", f"/documentation/{new_id()}", charting.stranger)
    refused = [(one["actor"], one["action"], one["outcome"]) for one in await charting.trail() if one.get("outcome")]
    assert list(reversed(refused)) == [
        (OLGA, "read", "not_found"),
        (FRED, "append_note", "not_found"),
        (ADA, "append_note", "forbidden"),
        (PIA, "sign", "reauthentication_required"),
        (OLGA, "search", "not_found"),
    ]


async def test_the_trail_is_for_the_clinics_own_admins(charting: Charting) -> None:
    assert await charting.trail("", charting.stranger) == []
    assert await charting.trail("", charting.house.bearer(new_id(), "admin")) == []
    for headers in (charting.pia, charting.desk, charting.house.bearer()):
        assert (await charting.send("GET", "/admin/audit", headers)).status_code == 404


async def test_the_trail_is_paged_backwards_and_followed_forwards(charting: Charting) -> None:
    for _ in range(5):
        await charting.shown(charting.quinn)
    path = f"/admin/audit?actor={QUINN}&limit=2"
    seen, cursor = [], ""
    while True:
        page = (await charting.send("GET", path + cursor, charting.admin)).json()
        seen += [one["position"] for one in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 5
    await charting.shown(charting.quinn)
    assert len(await charting.trail(f"?after={seen[0]}&object={charting.document}&patient={PATIENT}")) == 1
    for query in ("?after=-1", "?after=x", "?cursor=!", "?cursor=kgGh", "?wanted=all"):
        assert (await charting.send("GET", f"/admin/audit{query}", charting.admin)).status_code == 422


async def test_without_a_trail_there_is_no_content(charting: Charting) -> None:
    async def away(events: object) -> None:
        raise Unavailable("away", code="database_away")

    charting.house.gateway.audit_store.add = away  # type: ignore[method-assign]
    for path in ("", "/history"):
        answer = await charting.send("GET", f"/documentation/{charting.document}{path}", charting.pia)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
        assert PATIENT not in answer.text


async def test_the_platform_has_the_chain_verified_by_ranges(charting: Charting) -> None:
    await charting.trail()
    platform = charting.house.bearer(ADA, "admin")
    answer = await charting.send("GET", "/admin/audit/verify?after=0&limit=1", platform)
    assert answer.status_code == 200
    assert answer.json().keys() == {"ok", "checked", "last", "head_position", "head_hash"}
    for query in ("limit=0", "limit=50001", "after=-1", "from=3"):
        assert (await charting.send("GET", f"/admin/audit/verify?{query}", platform)).status_code == 422
    assert (await charting.send("GET", "/admin/audit/verify", charting.admin)).status_code == 404

"""Emergency access over HTTP (C8): for staff with a reason, for a while, told at once, audited, looked into."""

from typing import Any

import pytest

from domain.ids import new_id
from domain.times import HOUR_MS
from services.access.emergency import EMERGENCY_ACCESS_MS, GRANTS_PER_DAY_MAX
from storage.accounts.records import MembershipRecord, UserRecord, UserStatus
from tests.serve.charting import ADA, FRED, PATIENT, Charting
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House

REASON = "Unconscious in the waiting room; allergies must be known."


@pytest.fixture
async def charting(house: House) -> Charting:
    return await Charting(house).open()


async def take(charting: Charting, by: dict[str, str] | None = None, **changes: Any) -> Any:
    by = by or charting.desk
    proof = by["Authorization"].removeprefix("Bearer ")
    return await charting.post("/emergency-access", {"reason": REASON, "proof": proof, **changes}, by)


async def taken(charting: Charting) -> dict[str, Any]:
    answer = await take(charting)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def read(charting: Charting, by: dict[str, str] | None = None, path: str = "") -> int:
    answer = await charting.send("GET", f"/documentation/{charting.document}{path}", by or charting.desk)
    return answer.status_code


async def test_staff_without_access_reads_all_documents_of_the_patient_and_only_reads(charting: Charting) -> None:
    assert await read(charting) == 404
    grant = await taken(charting)
    assert grant == {
        "id": grant["id"],
        "subject": FRED,
        "organization_id": CLINIC,
        "patient_id": PATIENT,
        "document_id": charting.document,
        "reason": REASON,
        "granted_at": "2026-03-01T09:30:00.000Z",
        "expires_at": "2026-03-01T13:30:00.000Z",
        "active": True,
    }
    another, elsewhere = (await charting.made())["id"], (await charting.made(patient_id=new_id()))["id"]
    assert await read(charting) == 200
    assert await read(charting, path="/history") == 200
    listed = (await charting.send("GET", f"/documentation?patient={PATIENT}", charting.desk)).json()["items"]
    assert {each["id"] for each in listed} == {charting.document, another}
    assert (await charting.send("GET", f"/documentation/{elsewhere}", charting.desk)).status_code == 404
    assert (await charting.send("GET", "/documentation", charting.desk)).status_code == 404
    assert (await charting.post("/notes", {"text": "x"}, charting.desk)).status_code == 404


async def test_every_reading_under_it_is_in_the_trail_with_its_purpose_and_grant(charting: Charting) -> None:
    grant = await taken(charting)
    await read(charting)
    await charting.send("GET", f"/documentation?patient={PATIENT}", charting.desk)
    await charting.shown(charting.quinn)
    seen = [
        (one["action"], one["purpose"], one.get("grant_id"))
        for one in reversed(await charting.trail(f"?patient={PATIENT}"))
        if one["action"] != "create"
    ]
    assert seen == [
        ("emergency_access_granted", "emergency", grant["id"]),
        ("read", "emergency", grant["id"]),
        ("search", "emergency", grant["id"]),
        ("list", "emergency", grant["id"]),
        ("read", "treatment", None),
    ]


async def test_it_ends_by_time(charting: Charting) -> None:
    await taken(charting)
    charting.house.clock.advance(seconds=EMERGENCY_ACCESS_MS / 1000 - 1)
    charting.desk = charting.house.bearer(FRED, "front_desk", orgs=(CLINIC,))
    assert await read(charting) == 200
    charting.house.clock.advance(seconds=1)
    assert await read(charting) == 404
    charting.admin = charting.house.bearer(ADA, "admin", orgs=(CLINIC,))
    (listed,) = (await charting.send("GET", "/admin/emergency-access", charting.admin)).json()["items"]
    assert listed["active"] is False


@pytest.mark.parametrize("who", ["admin", "desk"])
async def test_it_is_ended_by_an_admin_or_by_whoever_has_it(charting: Charting, who: str) -> None:
    grant = await taken(charting)
    path = f"/admin/emergency-access/{grant['id']}/revoke"
    for stranger in (charting.pia, charting.stranger):
        assert (await charting.send("POST", path, stranger)).status_code == 404
    by = ADA if who == "admin" else FRED
    for _ in range(2):
        ended = (await charting.send("POST", path, getattr(charting, who))).json()
        assert (ended["active"], ended["revoked_by"]) == (False, by)
    assert await read(charting) == 404
    (event,) = [one for one in await charting.trail() if one["action"] == "emergency_access_revoked"]
    assert event["before"]["revoked_at_ms"] == 0
    assert event["after"]["revoked_at_ms"] > 0


async def test_it_holds_only_while_one_is_of_the_clinics_staff(charting: Charting) -> None:
    await taken(charting)
    gone = charting.house.bearer(FRED, "front_desk", orgs=(OTHER_CLINIC,))
    assert await read(charting, gone) == 404
    assert await read(charting, charting.house.bearer(FRED, "customer")) == 404


async def test_a_repeat_gives_the_same_grant_and_tells_nobody_again(charting: Charting) -> None:
    grant = await taken(charting)
    again = await take(charting)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json()["id"] == grant["id"]


async def test_who_may_see_it_anyway_needs_none_and_to_strangers_it_is_unknown(charting: Charting) -> None:
    for by in (charting.pia, charting.admin):
        answer = await take(charting, by)
        assert (answer.status_code, answer.json()["code"]) == (409, "access_not_needed")
    house = charting.house
    strangers = (
        charting.stranger,
        house.bearer(new_id(), "front_desk", orgs=(OTHER_CLINIC,)),
        house.bearer(new_id(), "front_desk"),
        house.bearer(new_id(), "billing", orgs=(CLINIC,)),
        house.bearer(),
    )
    for by in strangers:
        assert (await take(charting, by)).status_code == 404
    charting.document = new_id()
    assert (await take(charting)).status_code == 404


async def test_it_takes_a_real_reason_and_a_login_just_now(charting: Charting) -> None:
    for reason in ("emergency", " " * 40, "x" * 1_001):
        answer = await take(charting, reason=reason)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "reason")
    old = charting.house.tokens.issue(FRED, ("front_desk",), (CLINIC,))
    somebody_elses = charting.house.tokens.issue(new_id(), ("front_desk",), (CLINIC,))
    charting.house.clock.advance(seconds=HOUR_MS / 2_000)
    charting.desk = charting.house.bearer(FRED, "front_desk", orgs=(CLINIC,))
    for proof in (old, somebody_elses, "no token"):
        answer = await take(charting, proof=proof)
        assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
    charting.admin = charting.house.bearer(ADA, "admin", orgs=(CLINIC,))
    refused = [one["outcome"] for one in await charting.trail(f"?actor={FRED}")]
    assert refused == ["reauthentication_required"] * 3


async def test_a_day_has_so_many_emergencies_and_no_more(charting: Charting) -> None:
    for _ in range(GRANTS_PER_DAY_MAX):
        charting.document = (await charting.made(patient_id=new_id()))["id"]
        await taken(charting)
    charting.document = (await charting.made(patient_id=new_id()))["id"]
    answer = await take(charting)
    assert (answer.status_code, answer.json()["code"]) == (429, "emergency_access_exhausted")


async def test_the_clinics_admins_are_mailed_at_once(charting: Charting) -> None:
    house = charting.house
    for subject, role, status in (
        (ADA, "admin", UserStatus.ACTIVE),
        (new_id(), "admin", UserStatus.SUSPENDED),
        (new_id(), "provider", UserStatus.ACTIVE),
    ):
        address = "ada@example.test" if subject == ADA else f"{subject}@example.test"
        user = UserRecord(id=subject, email=address, name="x", status=status, created_at_ms=1, updated_at_ms=1)
        assert await house.account_stores.users.add_user(user)
        held = MembershipRecord(user_id=subject, organization_id=CLINIC, role=role)
        await house.account_stores.members.add_membership(held, 1)
    await taken(charting)
    await take(charting)
    await house.accounts.background.settled()
    assert [mail["To"] for mail in house.mail.sent] == ["ada@example.test"]
    assert house.mail.sent[0]["Subject"] == "Emergency access was taken"


async def test_an_admin_looks_into_it_once_and_nobody_into_their_own(charting: Charting) -> None:
    grant = await taken(charting)
    path = f"/admin/emergency-access/{grant['id']}/review"
    fred_as_admin = charting.house.bearer(FRED, "admin", orgs=(CLINIC,))
    for by, code in ((fred_as_admin, "own_emergency_access"), (charting.stranger, "not_found")):
        assert (await charting.send("POST", path, by, {"note": "fine"})).json()["code"] == code
    unreviewed = "/admin/emergency-access?unreviewed=true"
    assert len((await charting.send("GET", unreviewed, charting.admin)).json()["items"]) == 1
    answer = await charting.send("POST", path, charting.admin, {"note": "Spoke with him."})
    assert (answer.json()["reviewed_by"], answer.json()["note"]) == (ADA, "Spoke with him.")
    again = await charting.send("POST", path, charting.admin, {"note": "other"})
    assert (again.status_code, again.json()["code"]) == (409, "already_reviewed")
    assert (await charting.send("GET", unreviewed, charting.admin)).json() == {"items": []}
    assert await read(charting) == 200  # what was looked into goes on until it ends


async def test_the_list_is_paged_and_for_the_organizations_admins(charting: Charting) -> None:
    made = []
    for _ in range(3):
        charting.document = (await charting.made(patient_id=new_id()))["id"]
        made.append((await taken(charting))["id"])
    seen, cursor = [], ""
    while True:
        answer = await charting.send("GET", f"/admin/emergency-access?limit=2{cursor}", charting.admin)
        seen += [one["id"] for one in answer.json()["items"]]
        if "next_cursor" not in answer.json():
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"
    assert sorted(seen, reverse=True) == seen
    assert set(seen) == set(made)
    assert (await charting.send("GET", "/admin/emergency-access", charting.stranger)).json() == {"items": []}
    for by in (charting.pia, charting.desk):
        assert (await charting.send("GET", "/admin/emergency-access", by)).status_code == 404

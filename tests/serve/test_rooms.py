"""Locations and rooms over HTTP: who manages them, who lives in them, what strangers see."""

import asyncio
from typing import Any

import httpx
import pytest

from domain.ids import new_id
from domain.times import MINUTE_MS, from_rfc3339
from tests.conditions import until
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House

ADA, PIA, QUINN, FRED, OLGA = (new_id() for _ in range(5))

SITE: dict[str, Any] = {
    "name": "Centre",
    "address": {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE"},
    "time_zone": "Europe/Berlin",
    "opening_hours": [{"day": "monday", "opens": "09:00", "closes": "17:30"}],
    "categories": ["injectables"],
}


class Clinic:
    """A location with one room, and the people of the clinic by their headers."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.admin = house.bearer(ADA, "admin", orgs=(CLINIC,))
        self.provider = house.bearer(PIA, "provider", orgs=(CLINIC,))
        self.second = house.bearer(QUINN, "provider", orgs=(CLINIC,))
        self.desk = house.bearer(FRED, "front_desk", orgs=(CLINIC,))
        self.stranger = house.bearer(OLGA, "admin", "provider", orgs=(OTHER_CLINIC,))
        self.location = ""
        self.room = ""

    async def open(self) -> "Clinic":
        made = await self.send("POST", "/locations", self.admin, {"organization_id": CLINIC, **SITE})
        assert made.status_code == 201, made.text
        self.location = made.json()["id"]
        self.room = await self.add_room("Room 1")
        return self

    async def add_room(self, name: str) -> str:
        made = await self.send("POST", f"/locations/{self.location}/rooms", self.admin, {"name": name})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def send(
        self, method: str, path: str, headers: dict[str, str], body: Any = None, **more: str
    ) -> httpx.Response:
        return await self.house.http.request(method, f"/api/v1{path}", json=body, headers={**headers, **more})

    async def move(self, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await self.send("POST", f"/rooms/{self.room}/status", headers, body)

    async def room_patient(self) -> None:
        for body in ({"status": "held"}, {"status": "roomed", "patient_id": "p-1", "visit_id": "v-1"}):
            assert (await self.move(self.desk, **body)).status_code == 200


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic(house).open()


async def test_a_location_reads_back_and_is_listed_for_its_own_people(clinic: Clinic) -> None:
    shown = await clinic.send("GET", f"/locations/{clinic.location}", clinic.provider)
    assert shown.json() == {"id": clinic.location, "organization_id": CLINIC, **SITE}
    for headers in (clinic.admin, clinic.desk):
        listed = await clinic.send("GET", "/locations", headers)
        assert [one["id"] for one in listed.json()["items"]] == [clinic.location]
    assert (await clinic.send("GET", "/locations", clinic.stranger)).json()["items"] == []


async def test_a_foreign_organization_looks_unknown_everywhere(clinic: Clinic) -> None:
    here, room = f"/locations/{clinic.location}", f"/locations/{clinic.location}/rooms/{clinic.room}"
    asked = [
        ("GET", f"/locations?organization_id={CLINIC}", None),
        ("POST", "/locations", {"organization_id": CLINIC, **SITE}),
        ("GET", here, None),
        ("PUT", here, SITE),
        ("GET", f"{here}/rooms", None),
        ("POST", f"{here}/rooms", {"name": "Mine"}),
        ("GET", room, None),
        ("PUT", room, {"name": "Mine"}),
        ("GET", f"/rooms/{clinic.room}", None),
        ("POST", f"/rooms/{clinic.room}/status", {"status": "held"}),
        ("POST", f"/rooms/{clinic.room}/claim", {}),
        ("POST", f"/rooms/{clinic.room}/release", {"token": 1}),
        ("POST", f"/rooms/{clinic.room}/take-over", {"reason": "mine"}),
        ("POST", f"/rooms/{clinic.room}/undo", {"version": 1}),
    ]
    for stranger in (clinic.stranger, clinic.house.bearer(ADA, "admin"), clinic.house.bearer(orgs=(CLINIC,))):
        for method, path, body in asked:
            answer = await clinic.send(method, path, stranger, body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


async def test_only_admins_manage_locations_and_rooms(clinic: Clinic) -> None:
    here = f"/locations/{clinic.location}"
    for headers in (clinic.provider, clinic.desk):
        for method, path, body in (
            ("POST", "/locations", {"organization_id": CLINIC, **SITE}),
            ("PUT", here, SITE),
            ("POST", f"{here}/rooms", {"name": "Mine"}),
            ("PUT", f"{here}/rooms/{clinic.room}", {"name": "Mine"}),
        ):
            assert (await clinic.send(method, path, headers, body)).status_code == 404


async def test_a_location_is_replaced_and_stays_with_its_organization(clinic: Clinic) -> None:
    changed = {**SITE, "name": "North", "opening_hours": [], "categories": []}
    answer = await clinic.send("PUT", f"/locations/{clinic.location}", clinic.admin, changed)
    assert answer.status_code == 200
    shown = (await clinic.send("GET", f"/locations/{clinic.location}", clinic.admin)).json()
    assert shown == answer.json()
    assert (shown["name"], shown["organization_id"]) == ("North", CLINIC)
    assert "opening_hours" not in shown


async def test_a_location_of_an_unknown_organization_is_not_made(house: House) -> None:
    nowhere = new_id()
    admin = house.bearer(ADA, "admin", orgs=(nowhere,))
    made = await house.http.post("/api/v1/locations", json={"organization_id": nowhere, **SITE}, headers=admin)
    assert made.status_code == 404


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone", "unknown_time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone", "unknown_time_zone"),
        ({"name": "a\u0007b"}, "name", "control_character"),
        ({"categories": ["laser", "laser"]}, "categories", "duplicate"),
        (
            {"opening_hours": [{"day": "monday", "opens": "09:00", "closes": "09:00"}]},
            "opening_hours.0.closes",
            "out_of_range",
        ),
        (
            {
                "opening_hours": [
                    {"day": "monday", "opens": "12:00", "closes": "18:00"},
                    {"day": "monday", "opens": "09:00", "closes": "12:01"},
                ]
            },
            "opening_hours.0.opens",
            "overlap",
        ),
        (
            {"opening_hours": [{"day": "monday", "opens": "9:00", "closes": "24:00"}]},
            "opening_hours.0.opens",
            "string_pattern_mismatch",
        ),
    ],
)
async def test_a_malformed_location_is_refused_with_its_field(clinic: Clinic, change, path, code) -> None:
    answer = await clinic.send("PUT", f"/locations/{clinic.location}", clinic.admin, {**SITE, **change})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["path"], error["code"]) == (path, code)


async def test_a_repeat_with_the_same_key_makes_one_location_and_one_room(clinic: Clinic) -> None:
    body = {"organization_id": CLINIC, **SITE}
    for path, sent, other in (
        ("/locations", body, {**body, "name": "Else"}),
        (f"/locations/{clinic.location}/rooms", {"name": "Room 7"}, {"name": "Room 8"}),
    ):
        key = {"Idempotency-Key": "k-1"}
        first = await clinic.send("POST", path, clinic.admin, sent, **key)
        again = await clinic.send("POST", path, clinic.admin, sent, **key)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert (await clinic.send("POST", path, clinic.admin, other, **key)).json()["code"] == "idempotency_key_reused"


async def test_rooms_are_listed_named_and_shown_live(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    path = f"/locations/{clinic.location}/rooms"
    page = (await clinic.send("GET", f"{path}?limit=1", clinic.desk)).json()
    rest = (await clinic.send("GET", f"{path}?limit=1&cursor={page['next_cursor']}", clinic.desk)).json()
    assert {page["items"][0]["id"], rest["items"][0]["id"]} == {clinic.room, second}
    assert "next_cursor" not in rest
    taken = await clinic.send("PUT", f"{path}/{second}", clinic.admin, {"name": "Room 1"})
    assert (taken.status_code, taken.json()["code"]) == (409, "room_name_taken")
    renamed = await clinic.send("PUT", f"{path}/{second}", clinic.admin, {"name": "Laser", "kind": "laser"})
    assert renamed.json() == (await clinic.send("GET", f"{path}/{second}", clinic.desk)).json()
    live = (await clinic.send("GET", f"/rooms/{second}", clinic.desk)).json()
    assert (live["name"], live["kind"], live["status"], live["location_id"]) == (
        *("Laser", "laser", "available"),
        clinic.location,
    )


async def test_a_room_of_another_location_is_not_in_this_one(clinic: Clinic) -> None:
    other = await clinic.send("POST", "/locations", clinic.admin, {"organization_id": CLINIC, **SITE})
    path = f"/locations/{other.json()['id']}/rooms/{clinic.room}"
    assert (await clinic.send("GET", path, clinic.admin)).status_code == 404
    assert (await clinic.send("PUT", path, clinic.admin, {"name": "Moved"})).status_code == 404


async def test_a_room_whose_entity_was_not_made_is_made_when_it_is_looked_at(clinic: Clinic) -> None:
    store = clinic.house.gateway.location_store
    room = await store.room(clinic.room)
    assert room is not None
    lost = type(room)(id=new_id(), location_id=clinic.location, name="Lost", kind="laser")
    assert await store.add_room(lost)
    assert (await clinic.send("GET", f"/rooms/{lost.id}", clinic.stranger)).status_code == 404
    assert ("room", lost.id) not in clinic.house.store.by_entity
    shown = await clinic.send("GET", f"/rooms/{lost.id}", clinic.desk)
    assert (shown.json()["name"], shown.json()["status"]) == ("Lost", "available")


async def test_a_visit_from_held_to_available(clinic: Clinic) -> None:
    await clinic.room_patient()
    claimed = await clinic.send("POST", f"/rooms/{clinic.room}/claim", clinic.provider)
    token = claimed.json()["claim"]["token"]
    for body in (
        {"status": "in_treatment", "token": token},
        {"status": "waiting", "waiting_for": "numbing", "token": token},
        {"status": "in_treatment", "token": token},
        {"status": "turnover", "from": "in_treatment", "token": token},
    ):
        moved = await clinic.move(clinic.provider, **body)
        assert (moved.status_code, moved.json()["status"]) == (200, body["status"])
    for status in ("cleaning", "available"):
        moved = await clinic.move(clinic.desk, status=status)
    assert moved.json()["occupied"] is False
    assert "patient_id" not in moved.json()
    seen = await clinic.send("GET", f"/rooms/{clinic.room}", clinic.desk)
    assert seen.headers["etag"] == moved.headers["etag"]


async def test_refusals_say_the_current_status_and_by_whom(clinic: Clinic) -> None:
    await clinic.room_patient()
    stale = await clinic.move(clinic.provider, **{"status": "in_treatment", "from": "held"})
    assert (stale.status_code, stale.json()["code"], stale.json()["current"]) == (409, "conflict", "roomed")
    await clinic.send("POST", f"/rooms/{clinic.room}/claim", clinic.provider)
    taken = await clinic.send("POST", f"/rooms/{clinic.room}/claim", clinic.second, {})
    assert (taken.status_code, taken.json()["code"], taken.json()["by"]) == (409, "taken", PIA)
    over = await clinic.send("POST", f"/rooms/{clinic.room}/take-over", clinic.second, {"reason": "shift change"})
    assert over.json()["claim"]["token"] == 2
    fenced = await clinic.move(clinic.provider, status="in_treatment", token=1)
    assert (fenced.status_code, fenced.json()["code"]) == (409, "fenced")
    assert (await clinic.send("POST", f"/rooms/{clinic.room}/claim", clinic.desk, {})).status_code == 403
    released = await clinic.send("POST", f"/rooms/{clinic.room}/release", clinic.second, {"token": 2})
    assert "claim" not in released.json()


async def test_undo_over_http_brings_the_patient_back(clinic: Clinic) -> None:
    await clinic.room_patient()
    left = (await clinic.move(clinic.desk, status="turnover")).json()
    undone = await clinic.send("POST", f"/rooms/{clinic.room}/undo", clinic.desk, {"version": left["undo_version"]})
    assert (undone.json()["status"], undone.json()["patient_id"]) == ("roomed", "p-1")
    again = await clinic.send("POST", f"/rooms/{clinic.room}/undo", clinic.desk, {"version": left["undo_version"]})
    assert (again.status_code, again.json()["code"]) == (409, "not_undoable")


async def test_a_claim_is_repeated_by_its_key_and_guarded_by_its_version(clinic: Clinic) -> None:
    path, key = f"/rooms/{clinic.room}/claim", {"Idempotency-Key": "c-1"}
    first = await clinic.send("POST", path, clinic.provider, {}, **key)
    again = await clinic.send("POST", path, clinic.provider, {}, **key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    stale = await clinic.send(
        "POST", f"/rooms/{clinic.room}/status", clinic.desk, {"status": "held"}, **{"If-Match": '"1"'}
    )
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)


async def test_a_hold_says_whom_it_is_for_and_until_when(clinic: Clinic) -> None:
    held = (await clinic.move(clinic.desk, status="held", hold_minutes=1, visit_id="v-1")).json()
    until, since = from_rfc3339(held["hold_until"]), from_rfc3339(held["since"])
    assert (held["held_for"], until - since) == ("v-1", 60_000)


async def test_a_long_wait_is_told_by_the_rooms_own_timer_and_a_hold_runs_out(clinic: Clinic) -> None:
    async def shown() -> dict[str, Any]:
        return dict((await clinic.send("GET", f"/rooms/{clinic.room}", clinic.desk)).json())

    async def alert() -> Any:
        return (await shown()).get("alert")

    async def available() -> bool:
        return bool((await shown())["status"] == "available")

    await clinic.room_patient()
    clinic.house.clock.ms += 15 * MINUTE_MS
    raised = await until(alert, "the patient waits for too long")
    assert (raised["type"], raised["status"], raised["threshold_seconds"]) == ("long_wait", "roomed", 900)
    assert (await clinic.move(clinic.desk, status="turnover")).json().get("alert") is None
    for status in ("cleaning", "available", "held"):
        await clinic.move(clinic.desk, status=status)
    clinic.house.clock.ms += 15 * MINUTE_MS
    await until(available, "the hold has run out")
    assert (await shown())["reason"] == "hold_expired"


async def test_of_many_claims_at_once_one_wins(clinic: Clinic) -> None:
    await clinic.room_patient()
    providers = [clinic.house.bearer(new_id(), "provider", orgs=(CLINIC,)) for _ in range(8)]
    path = f"/rooms/{clinic.room}/claim"
    answers = await asyncio.gather(*(clinic.send("POST", path, headers) for headers in providers))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    lost = [answer.json() for answer in answers if answer.status_code == 409]
    assert (len(won), len(lost), won[0]["claim"]["token"]) == (1, 7, 1)
    assert {(one["code"], one["by"]) for one in lost} == {("taken", won[0]["claim"]["by"])}

"""Rooms and locations that are closed, what happened in a room, one room per visit, and where there are locations."""

import asyncio
from typing import Any

import httpx
import pytest

from domain.errors import Conflict
from domain.ids import new_id
from services.entities import Sender
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House
from tests.serve.test_rooms import SITE, Clinic


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic(house).open()


async def move(clinic: Clinic, room: str, **body: Any) -> httpx.Response:
    return await clinic.send("POST", f"/rooms/{room}/status", clinic.desk, body)


async def bring(clinic: Clinic, room: str, visit_id: str = "v-1") -> httpx.Response:
    await move(clinic, room, status="held")
    return await move(clinic, room, status="roomed", patient_id="p-1", visit_id=visit_id)


# -- closing --------------------------------------------------------------------------------------


async def test_an_empty_room_is_closed_and_leaves_every_list_but_not_its_history(clinic: Clinic) -> None:
    path = f"/locations/{clinic.location}/rooms/{clinic.room}"
    for _ in range(2):
        assert (await clinic.send("DELETE", path, clinic.admin)).status_code == 204
    assert (await clinic.send("GET", path, clinic.admin)).status_code == 404
    assert (await clinic.send("PUT", path, clinic.admin, {"name": "Again"})).status_code == 404
    listed = await clinic.send("GET", f"/locations/{clinic.location}/rooms", clinic.admin)
    assert listed.json()["items"] == []
    assert (await clinic.send("GET", f"/rooms/{clinic.room}", clinic.desk)).json()["status"] == "closed"
    history = (await clinic.send("GET", f"/rooms/{clinic.room}/history", clinic.desk)).json()["items"]
    assert [entry["type"] for entry in history] == ["status_changed", "created"]
    assert await clinic.add_room("Room 1") != clinic.room, "its name is free again"


async def test_a_room_with_a_patient_is_not_closed(clinic: Clinic) -> None:
    await clinic.room_patient()
    refused = await clinic.send("DELETE", f"/locations/{clinic.location}/rooms/{clinic.room}", clinic.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert refused.json()["current"] == "roomed"
    listed = await clinic.send("GET", f"/locations/{clinic.location}/rooms", clinic.admin)
    assert len(listed.json()["items"]) == 1


async def test_only_admins_of_the_clinic_close(clinic: Clinic) -> None:
    for path in (f"/locations/{clinic.location}/rooms/{clinic.room}", f"/locations/{clinic.location}"):
        for headers in (clinic.desk, clinic.provider, clinic.stranger):
            assert (await clinic.send("DELETE", path, headers)).status_code == 404


async def test_a_room_is_closed_at_its_own_location_only(clinic: Clinic) -> None:
    other = await clinic.send("POST", "/locations", clinic.admin, {"organization_id": CLINIC, **SITE})
    path = f"/locations/{other.json()['id']}/rooms/{clinic.room}"
    assert (await clinic.send("DELETE", path, clinic.admin)).status_code == 404


async def test_a_repeated_order_to_make_a_room_that_was_closed_does_not_open_it(clinic: Clinic) -> None:
    path, key = f"/locations/{clinic.location}/rooms", {"Idempotency-Key": "k1"}
    made = await clinic.send("POST", path, clinic.admin, {"name": "Room 2"}, **key)
    await clinic.send("DELETE", f"{path}/{made.json()['id']}", clinic.admin)
    again = await clinic.send("POST", path, clinic.admin, {"name": "Room 2"}, **key)
    assert (again.status_code, again.json()) == (201, made.json())
    assert made.json()["id"] not in (await clinic.send("GET", path, clinic.admin)).text


async def test_a_location_is_closed_when_its_rooms_are(clinic: Clinic) -> None:
    here = f"/locations/{clinic.location}"
    refused = await clinic.send("DELETE", here, clinic.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "location_not_empty")
    await clinic.send("DELETE", f"{here}/rooms/{clinic.room}", clinic.admin)
    assert (await clinic.send("DELETE", here, clinic.admin)).status_code == 204
    for method, path in (("GET", here), ("DELETE", here), ("GET", f"{here}/categories")):
        assert (await clinic.send(method, path, clinic.admin)).status_code == 404
    assert (await clinic.send("GET", "/locations", clinic.admin)).json()["items"] == []
    assert (await clinic.send("GET", "/locations/countries", {})).json() == {"items": []}


# -- history --------------------------------------------------------------------------------------


async def test_the_history_says_who_did_what_when_newest_first(clinic: Clinic) -> None:
    await clinic.room_patient()
    await clinic.send("POST", f"/rooms/{clinic.room}/claim", clinic.provider)
    taken = await clinic.send("POST", f"/rooms/{clinic.room}/take-over", clinic.second, {"reason": "shift change"})
    token = taken.json()["claim"]["token"]
    moved = await clinic.send(
        "POST", f"/rooms/{clinic.room}/status", clinic.second, {"status": "turnover", "token": token}
    )
    await clinic.send("POST", f"/rooms/{clinic.room}/undo", clinic.desk, {"version": moved.json()["version"]})
    items = (await clinic.send("GET", f"/rooms/{clinic.room}/history", clinic.provider)).json()["items"]
    assert [entry["version"] for entry in items] == [7, 6, 5, 4, 3, 2, 1]
    undone, turnover, second, first, roomed, _, created = items
    assert (undone["type"], undone["undone"], undone["status"]) == ("status_undone", 6, "roomed")
    assert (turnover["previous"], turnover["status"]) == ("roomed", "turnover")
    assert (second["token"], second["instead_of"], second["reason"]) == (2, first["by"], "shift change")
    assert (roomed["patient_id"], roomed["visit_id"]) == ("p-1", "v-1")
    assert (created["type"], created["by"], created["name"]) == ("created", "system", "Room 1")


async def test_a_long_history_is_read_in_pages(clinic: Clinic) -> None:
    for _ in range(4):
        await move(clinic, clinic.room, status="held")
        await move(clinic, clinic.room, status="available")
    seen: list[int] = []
    cursor = ""
    while True:
        query = f"?limit=4{cursor}"
        page = (await clinic.send("GET", f"/rooms/{clinic.room}/history{query}", clinic.desk)).json()
        seen += [entry["version"] for entry in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == list(range(9, 0, -1))
    refused = await clinic.send("GET", f"/rooms/{clinic.room}/history?cursor=oXg", clinic.desk)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "invalid_cursor")


async def test_strangers_see_no_history(clinic: Clinic) -> None:
    assert (await clinic.send("GET", f"/rooms/{clinic.room}/history", clinic.stranger)).status_code == 404


# -- one room per visit -----------------------------------------------------------------------------


async def test_a_visit_is_in_one_room_until_it_has_left_it(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    assert (await bring(clinic, clinic.room)).status_code == 200
    refused = await bring(clinic, second)
    assert (refused.status_code, refused.json()["code"]) == (409, "visit_elsewhere")
    assert (await bring(clinic, second, "v-2")).status_code == 200
    assert (await move(clinic, clinic.room, status="turnover")).status_code == 200
    assert (await move(clinic, second, status="turnover")).status_code == 200
    third = await clinic.add_room("Room 3")
    assert (await bring(clinic, third)).status_code == 200


async def test_an_undo_does_not_bring_a_visit_back_that_is_in_another_room_by_now(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    await bring(clinic, clinic.room)
    left = (await move(clinic, clinic.room, status="turnover")).json()
    assert left["undo_visit_id"] == "v-1"
    assert (await bring(clinic, second)).status_code == 200
    undo = {"version": left["undo_version"]}
    refused = await clinic.send("POST", f"/rooms/{clinic.room}/undo", clinic.desk, undo)
    assert (refused.status_code, refused.json()["code"]) == (409, "visit_elsewhere")
    await move(clinic, second, status="turnover")
    assert (await clinic.send("POST", f"/rooms/{clinic.room}/undo", clinic.desk, undo)).status_code == 200
    assert (await bring(clinic, second)).json()["code"] == "visit_elsewhere"


async def test_a_room_that_refuses_does_not_keep_the_visit(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    refused = await move(clinic, clinic.room, status="roomed", patient_id="p-1", visit_id="v-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert (await bring(clinic, second)).status_code == 200


async def test_of_many_rooms_that_take_a_visit_in_at_once_one_does(clinic: Clinic) -> None:
    rooms = [await clinic.add_room(f"Room {number}") for number in range(2, 8)]
    for room in rooms:
        await move(clinic, room, status="held")
    body = {"status": "roomed", "patient_id": "p-1", "visit_id": "v-1"}
    answers = await asyncio.gather(*(move(clinic, room, **body) for room in rooms))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_visits_of_two_clinics_may_have_the_same_id(clinic: Clinic) -> None:
    await bring(clinic, clinic.room)
    theirs = await clinic.send("POST", "/locations", clinic.stranger, {"organization_id": OTHER_CLINIC, **SITE})
    made = await clinic.send("POST", f"/locations/{theirs.json()['id']}/rooms", clinic.stranger, {"name": "Room 1"})
    path = f"/rooms/{made.json()['id']}/status"
    await clinic.send("POST", path, clinic.stranger, {"status": "held"})
    body = {"status": "roomed", "patient_id": "p-1", "visit_id": "v-1"}
    assert (await clinic.send("POST", path, clinic.stranger, body)).status_code == 200


async def test_a_stranger_cannot_keep_a_visit_out_of_its_room(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    body = {"status": "roomed", "patient_id": "p-1", "visit_id": "v-1"}
    assert (await clinic.send("POST", f"/rooms/{second}/status", clinic.stranger, body)).status_code == 404
    assert (await bring(clinic, clinic.room)).status_code == 200


async def test_a_device_goes_the_same_way(clinic: Clinic) -> None:
    second = await clinic.add_room("Room 2")
    await bring(clinic, clinic.room)
    await move(clinic, second, status="held")
    gateway = clinic.house.gateway
    actor = gateway.tokens.verify(clinic.desk["Authorization"].removeprefix("Bearer ")).actor
    args = {"to": "roomed", "patient_id": "p-1", "visit_id": "v-1"}
    sender = Sender(actor, "", new_id().encode()[:16], b"h" * 16, device="tablet")
    with pytest.raises(Conflict, match="another room"):
        await gateway.device_commands.execute(sender, f"room/{second}", "set_status", args)


# -- where there are locations ----------------------------------------------------------------------


async def test_anybody_sees_where_there_are_locations_and_what_they_offer(clinic: Clinic) -> None:
    for city, country in (("Berlin", "DE"), ("Hamburg", "DE"), ("Wien", "AT")):
        site = {**SITE, "organization_id": CLINIC, "address": {**SITE["address"], "city": city, "country": country}}
        await clinic.send("POST", "/locations", clinic.admin, site)
    countries = await clinic.send("GET", "/locations/countries", {})
    assert countries.json() == {"items": [{"country": "AT", "locations": 1}, {"country": "DE", "locations": 3}]}
    cities = await clinic.send("GET", "/locations/de/cities", {})
    assert cities.json() == {"items": [{"city": "Berlin", "locations": 2}, {"city": "Hamburg", "locations": 1}]}
    assert (await clinic.send("GET", "/locations/XX/cities", {})).json() == {"items": []}
    categories = await clinic.send("GET", f"/locations/{clinic.location}/categories", {})
    assert categories.json() == {"items": ["injectables"]}
    assert (await clinic.send("GET", f"/locations/{new_id()}/categories", {})).status_code == 404

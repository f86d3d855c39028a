"""Hand-offs between provider sessions, over HTTP: the room, its claim, the patient and the documents."""

import pytest

from domain.errors import Conflict
from domain.ids import new_id
from tests.serve.clinic import CLINIC
from tests.serve.ward import PIA, QUINN, Ward, at_work, offer, room_of


async def test_who_takes_a_hand_off_has_the_room_the_patient_and_the_documents(ward: Ward) -> None:
    await at_work(ward)
    offer_id = await offer(ward)
    take = f"/{ward.session}/hand-off/{offer_id}/take"
    taken = await ward.send("quinn", "POST", take, {"session": ward.other})
    assert taken.status_code == 200, taken.text
    view = taken.json()
    assert (view["id"], view["room_id"], view["patient_id"]) == (ward.other, ward.clinic.room, "p-1")
    assert list(view["documents"]) == ["d-1"]
    room = await room_of(ward)
    assert (room["claim"]["by"], room["claim"]["token"]) == (QUINN, 2)
    assert "room_id" not in await ward.see(ward.session)
    again = await ward.send("quinn", "POST", take, {"session": ward.other})
    assert (again.status_code, again.json()["version"]) == (200, view["version"])


async def test_only_the_provider_it_was_offered_to_takes_it_with_a_session_of_their_own(ward: Ward) -> None:
    await at_work(ward)
    path = f"/{ward.session}/hand-off/{await offer(ward)}/take"
    assert (await ward.send("quinn", "POST", path, {"session": ward.session})).status_code == 404
    assert (await ward.send("pia", "POST", path, {"session": ward.session})).status_code == 403
    withdrawn = await ward.send("pia", "DELETE", path.removesuffix("/take"))
    assert "hand_offs" not in withdrawn.json()
    late = await ward.send("quinn", "POST", path, {"session": ward.other})
    assert (late.status_code, late.json()["code"]) == (409, "not_offered")


async def test_an_ended_or_revoked_session_takes_nothing(ward: Ward) -> None:
    await at_work(ward)
    path = f"/{ward.session}/hand-off/{await offer(ward)}/take"
    await ward.send("ada", "POST", f"/{ward.other}/revoke", {"what": "person", "reason": "left"})
    assert (await ward.send("quinn", "POST", path, {"session": ward.other})).status_code == 403
    await ward.send("ada", "POST", f"/{ward.other}/restore")
    await ward.send("quinn", "POST", f"/{ward.other}/sign-out")
    ended = await ward.send("quinn", "POST", path, {"session": ward.other})
    assert (ended.status_code, ended.json()["code"]) == (409, "session_ended")
    assert (await ward.see(ward.session))["room_id"] == ward.clinic.room


async def test_handing_over_to_ones_other_tablet_fences_the_first(ward: Ward) -> None:
    await at_work(ward)
    second = await ward.come(ward.pia, new_id())
    path = f"/{ward.session}/hand-off/{await offer(ward, PIA)}/take"
    taken = await ward.send("pia", "POST", path, {"session": second.session_id})
    assert taken.json()["room_id"] == ward.clinic.room
    assert (await room_of(ward))["claim"]["token"] == 2
    assert (await ward.see(ward.session))["ended_by"] == "handed_off"
    with pytest.raises(Conflict) as caught:
        await ward.sessions.touch(ward.pia, ward.session, 1)
    assert caught.value.failure.code == "fenced"


async def test_a_claim_of_a_third_provider_is_not_handed_over(ward: Ward) -> None:
    await at_work(ward)
    third = ward.house.bearer(new_id(), "provider", orgs=(CLINIC,))
    await ward.clinic.send("POST", f"/rooms/{ward.clinic.room}/take-over", third, {"reason": "emergency"})
    before = (await room_of(ward))["claim"]
    path = f"/{ward.session}/hand-off/{await offer(ward)}/take"
    assert (await ward.send("quinn", "POST", path, {"session": ward.other})).status_code == 200
    assert (await room_of(ward))["claim"] == before


async def test_a_hand_off_from_a_room_that_moved_on_still_brings_the_documents(ward: Ward) -> None:
    await at_work(ward)
    room = await room_of(ward)
    await ward.clinic.move(ward.headers["pia"], status="turnover", token=room["claim"]["token"])
    path = f"/{ward.session}/hand-off/{await offer(ward)}/take"
    assert list((await ward.send("quinn", "POST", path, {"session": ward.other})).json()["documents"]) == ["d-1"]
    assert "claim" not in await room_of(ward)

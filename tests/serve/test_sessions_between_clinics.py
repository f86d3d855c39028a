"""A person who works at two clinics with one tablet, hand-offs that do not fit, and revocations of admins."""

from actors.runtime.entity import Actor
from domain.ids import new_id
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.test_rooms import SITE
from tests.serve.ward import PIA, QUINN, Ward, at_work, offer


async def elsewhere(ward: Ward) -> str:
    """A location of the other clinic."""
    made = await ward.clinic.send("POST", "/locations", ward.headers["olga"], {"organization_id": OTHER_CLINIC, **SITE})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def of_both(subject: str) -> Actor:
    return Actor(subject, ("provider",), (CLINIC, OTHER_CLINIC))


async def test_what_waits_from_one_clinic_does_not_show_at_the_other(ward: Ward) -> None:
    item = await ward.quarantine()
    await ward.sessions.open(of_both(PIA), ward.tablet, 1, 1, "c-2", await elsewhere(ward))
    there = await ward.send("olga", "GET", f"/{ward.session}")
    assert there.status_code == 200, there.text
    assert item not in there.text
    assert (await ward.send("olga", "GET", "?quarantined=true")).json()["items"] == []
    await ward.come(ward.pia, ward.tablet)
    assert list((await ward.see(ward.session))["quarantine"]) == [item]


async def test_a_patient_is_not_handed_to_a_session_at_another_clinic(ward: Ward) -> None:
    await at_work(ward)
    offer_id = await offer(ward)
    away = (await ward.sessions.open(of_both(QUINN), new_id(), 1, 1, "c-2", await elsewhere(ward))).session_id
    both = ward.house.bearer(QUINN, "provider", orgs=(CLINIC, OTHER_CLINIC))
    path = f"/sessions/{ward.session}/hand-off/{offer_id}/take"
    assert (await ward.clinic.send("POST", path, both, {"session": away})).status_code == 403
    assert (await ward.see(ward.session))["patient_id"] == "p-1"
    assert (await ward.clinic.send("POST", path, both, {"session": ward.other})).status_code == 200


async def test_what_does_not_fit_into_the_receiving_session_stays_where_it_is(ward: Ward) -> None:
    await at_work(ward)
    for number in range(50):
        await ward.device_does(ward.quinn, "open_document", ward.other, document_id=f"q-{number}")
    path = f"/{ward.session}/hand-off/{await offer(ward)}/take"
    full = await ward.send("quinn", "POST", path, {"session": ward.other})
    assert (full.status_code, full.json()["code"]) == (409, "documents_max")
    left = await ward.see(ward.session)
    assert (left["room_id"], left["patient_id"], list(left["documents"])) == (ward.clinic.room, "p-1", ["d-1"])


async def test_a_revoked_admin_does_not_restore_their_own_access(ward: Ward) -> None:
    here = f"/sessions/{ward.session}"
    own = ward.house.bearer(PIA, "provider", "admin", orgs=(CLINIC,))
    assert (await ward.send("ada", "POST", f"/{ward.session}/revoke", {"what": "person", "reason": "r"})).is_success
    assert (await ward.clinic.send("POST", f"{here}/restore", own)).status_code == 403
    assert (await ward.send("ada", "POST", f"/{ward.session}/restore")).status_code == 200
    lost = {"what": "device", "reason": "lost"}
    assert (await ward.clinic.send("POST", f"{here}/revoke", own, lost)).status_code == 200
    assert (await ward.clinic.send("POST", f"{here}/restore", own)).status_code == 200

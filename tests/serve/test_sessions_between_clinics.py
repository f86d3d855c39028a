"""A person who works at two clinics with one tablet, hand-offs that do not fit, and revocations of admins."""

from typing import Any

import pytest

from actors.runtime.entity import Actor
from domain.hlc import stamp
from domain.ids import derived_id, device_command_id, new_id
from services.entities import Sender
from services.sessions import SessionEntry
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House
from tests.serve.test_rooms import SITE, Clinic
from tests.serve.test_sessions import PIA, QUINN, Ward, at_work, offer, ward

__all__ = ["ward"]


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


@pytest.mark.parametrize("told", ["", "not a stamp"])
async def test_a_retried_edit_without_a_time_does_not_overwrite_what_its_author_wrote_since(
    house: House, told: str
) -> None:
    ward = await Ward(await Clinic(house).open()).open()
    document_id = new_id()
    chart = {"organization_id": CLINIC, "location_id": ward.clinic.location, "patient_id": "p-1", "template": "t"}
    await does(ward, document_id, 1, "create", chart)
    item_id = derived_id("quarantine", ward.session, "1", "2", b"h" * 16)
    dose = {"ent": f"document/{document_id}", "op": "set_field", "args": {"name": "a.dose", "value": "10 U"}}
    entries = [
        SessionEntry(epoch=1, seq=1, hash=b"g" * 16, result={"status": "applied"}),
        SessionEntry(
            epoch=1,
            seq=2,
            hash=b"h" * 16,
            result={"status": "rejected", "code": "old_epoch"},
            command={**dose, "base_fver": 0, "schema": 1, **({"hlc": told} if told else {})},
            item_id=item_id,
        ),
    ]
    await ward.sessions.record(ward.pia, ward.session, 1, entries)
    house.clock.advance(seconds=60)
    later = stamp(house.clock.now_ms())
    await does(ward, document_id, 3, "set_field", {"name": "a.dose", "value": "2 U"}, base_fver=0, hlc=later)
    path = f"/{ward.session}/quarantine/{item_id}/resolve"
    decided = await ward.send("pia", "POST", path, {"action": "retry", "reason": "was it lost?"})
    assert decided.status_code == 200, decided.text
    shown = (await ward.clinic.send("GET", f"/documentation/{document_id}", ward.headers["pia"])).json()
    assert (shown["fields"]["a.dose"]["value"], shown["open_conflicts"]) == ("2 U", 1)


async def does(ward: Ward, document_id: str, seq: int, op: str, args: dict[str, Any], **more: Any) -> None:
    """As Pia's tablet."""
    number = device_command_id(PIA, ward.tablet, 1, seq)
    base_fver = more.pop("base_fver", None)
    sender = Sender(ward.pia, "c-1.1", number, b"b" * 16, device=ward.tablet, **more)
    await ward.house.gateway.device_commands.execute(sender, f"document/{document_id}", op, args, base_fver)

"""Provider sessions over HTTP: the ledger, lists, revocation."""

from typing import Any

import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, NotFound, TooMany
from domain.ids import new_id
from realtime.ports import Admission, DeviceKeepsCount, Entry
from serve.live.ledger import SessionLedger
from services.sessions import RECORD_BYTES_MAX, SessionEntry
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.ward import ADA, PIA, QUINN, Ward

# -- the ledger -------------------------------------------------------------------------------------


async def test_the_count_of_a_tablet_is_kept_between_its_connections(ward: Ward) -> None:
    ledger = SessionLedger(ward.sessions)
    first = await ledger.open(ward.pia, ward.tablet, 1, 1, "c-2", ward.clinic.location, -1)
    assert first == Admission(session_id=ward.session, generation=2, epoch=1, last_seq=0)
    entries = [Entry(epoch=1, seq=seq, hash=b"%d" % seq, result={"status": "applied", "ver": seq}) for seq in (1, 2)]
    await ledger.record(ward.pia, first, entries)
    await ledger.touch(ward.pia, first)
    second = await ledger.open(ward.pia, ward.tablet, 1, 2, "c-3", "", -1)
    assert (second.generation, second.last_seq) == (3, 2)
    assert await ledger.settled(ward.pia, second, 1) == entries
    with pytest.raises(Conflict) as caught:
        await ledger.record(ward.pia, first, entries)
    assert caught.value.failure.code == "replaced"
    await ledger.acked(ward.pia, second, 1, 2)
    await ledger.close(ward.pia, first)
    assert (await ward.see(ward.session))["status"] == "active"
    await ledger.close(ward.pia, second)
    assert (await ward.see(ward.session))["status"] == "away"


async def test_devices_of_everybody_else_keep_their_own_count(ward: Ward) -> None:
    ledger = SessionLedger(ward.sessions)
    customer = Actor(new_id(), ("customer",))
    for actor, device in ((customer, new_id()), (ward.pia, ""), (Actor(PIA, ("provider",)), new_id())):
        admission = await ledger.open(actor, device, 2, 8, "c-1", "", -1)
        assert admission == await DeviceKeepsCount().open(actor, device, 2, 8, "c-1", "", -1)
        assert await ledger.settled(actor, admission, 2) == []
        await ledger.record(actor, admission, [Entry(epoch=2, seq=8, hash=b"", result={})])
        await ledger.acked(actor, admission, 2, 8)
        await ledger.touch(actor, admission)
        await ledger.close(actor, admission)


async def test_a_session_opens_only_at_a_location_of_ones_own(ward: Ward) -> None:
    stranger = Actor(new_id(), ("provider",), (OTHER_CLINIC,))
    for location in (ward.clinic.location, new_id()):
        with pytest.raises(NotFound):
            await ward.sessions.open(stranger, new_id(), 1, 1, "c-1", location)
    opened = await ward.sessions.open(stranger, new_id(), 1, 1, "c-1", "")
    assert (await ward.send("fred", "GET", f"/{opened.session_id}")).status_code == 404


async def test_at_a_known_place_a_session_is_that_clinics_alone(ward: Ward) -> None:
    both = Actor(new_id(), ("provider",), (OTHER_CLINIC, CLINIC))
    there = await ward.sessions.open(both, new_id(), 1, 1, "c-1", ward.clinic.location)
    anywhere = await ward.sessions.open(both, new_id(), 1, 1, "c-1", "")
    assert (await ward.send("olga", "GET", f"/{there.session_id}")).status_code == 404
    assert (await ward.see(there.session_id))["organizations"] == [CLINIC]
    assert (await ward.see(anywhere.session_id, "olga"))["organizations"] == [OTHER_CLINIC, CLINIC]


async def test_outcomes_that_do_not_fit_into_one_commit_are_several(ward: Ward) -> None:
    half = "x" * (RECORD_BYTES_MAX // 2)
    entries = [
        SessionEntry(
            epoch=1,
            seq=seq,
            hash=b"h",
            result={"status": "rejected", "code": "invalid"},
            command={"ent": "document/d", "op": "append_note", "args": {"text": half}},
            item_id=f"item-{seq}",
        )
        for seq in range(1, 6)
    ]
    entries += [SessionEntry(epoch=1, seq=seq, hash=b"h", result={"status": "applied"}) for seq in range(6, 100)]
    await ward.sessions.record(ward.pia, ward.session, 1, entries)
    view = await ward.see(ward.session)
    assert (view["last_seq"], len(view["quarantine"])) == (99, 5)
    assert [each.seq for each in await ward.sessions.settled(ward.pia, ward.session, 1)] == list(range(1, 100))


async def test_results_are_given_again_over_several_pages(ward: Ward) -> None:
    entries = [
        SessionEntry(epoch=1, seq=seq, hash=b"h", result={"reply": {"text": "x" * 3_000}}) for seq in range(1, 61)
    ]
    await ward.sessions.record(ward.pia, ward.session, 1, entries)
    assert await ward.sessions.settled(ward.pia, ward.session, 1) == entries


async def test_a_device_that_acknowledges_nothing_has_to_wait(ward: Ward) -> None:
    entries = [SessionEntry(epoch=1, seq=seq, hash=b"h", result={}) for seq in range(1, 1_026)]
    with pytest.raises(TooMany) as caught:
        await ward.sessions.record(ward.pia, ward.session, 1, entries)
    assert caught.value.failure.code == "unacked"


# -- lists ------------------------------------------------------------------------------------------


async def test_sessions_are_listed_for_the_staff_of_the_clinic(ward: Ward) -> None:
    await ward.device_does(ward.pia, "enter", room_id=ward.clinic.room, patient_id="p-1", visit_id="v-1")
    listed = (await ward.send("fred", "GET", f"?location={ward.clinic.location}&user={PIA}")).json()["items"]
    assert len(listed) == 1
    assert (listed[0]["id"], listed[0]["room_id"], listed[0]["patient_id"]) == (ward.session, ward.clinic.room, "p-1")
    first = (await ward.send("ada", "GET", "?limit=1")).json()
    rest = (await ward.send("ada", "GET", f"?limit=1&cursor={first['next_cursor']}")).json()
    assert {first["items"][0]["id"], rest["items"][0]["id"]} == {ward.session, ward.other}
    assert "next_cursor" not in rest


async def test_sessions_are_listed_by_status_and_by_what_waits_in_quarantine(ward: Ward) -> None:
    await ward.quarantine()
    await ward.send("quinn", "POST", f"/{ward.other}/sign-out")

    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await ward.send("fred", "GET", query)).json()["items"]]

    assert await ids("?quarantined=true") == [ward.session]
    assert await ids("?status=ended") == [ward.other]
    assert await ids("?status=away") == []
    assert (await ward.send("fred", "GET", "?status=gone")).status_code == 422


async def test_foreign_sessions_look_unknown_everywhere(ward: Ward) -> None:
    item, here, offer = await ward.quarantine(), f"/{ward.session}", new_id()
    asked: list[tuple[str, str, Any]] = [
        ("GET", f"?location={ward.clinic.location}", None),
        ("GET", here, None),
        ("GET", f"{here}/quarantine", None),
        ("GET", f"{here}/quarantine/{item}", None),
        ("POST", f"{here}/quarantine/{item}/resolve", {"action": "retry", "reason": "mine"}),
        ("POST", f"{here}/quarantine/{item}/resolve", {"action": "discard", "reason": "mine"}),
        ("POST", f"{here}/hand-off", {"to": QUINN}),
        ("DELETE", f"{here}/hand-off/{offer}", None),
        ("POST", f"{here}/hand-off/{offer}/take", {"session": ward.other}),
        ("POST", f"{here}/revoke", {"what": "person", "reason": "mine"}),
        ("POST", f"{here}/restore", None),
        ("POST", f"{here}/sign-out", None),
    ]
    house = ward.house
    for stranger in (ward.clinic.stranger, house.bearer(ADA, "admin"), house.bearer(new_id(), orgs=(CLINIC,))):
        for method, path, body in asked:
            answer = await ward.clinic.send(method, f"/sessions{path}", stranger, body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


# -- rights -----------------------------------------------------------------------------------------


async def test_a_revoked_device_is_shut_out_and_a_revoked_persons_queue_is_quarantined(ward: Ward) -> None:
    here = f"/{ward.session}"
    assert (await ward.send("quinn", "POST", f"{here}/revoke", {"what": "device", "reason": "r"})).status_code == 403
    revoked = await ward.send("ada", "POST", f"{here}/revoke", {"what": "device", "reason": "stolen"})
    assert (revoked.json()["access"], revoked.json()["access_reason"]) == ("revoked_device", "stolen")
    with pytest.raises(Forbidden) as caught:
        await ward.come(ward.pia, ward.tablet)
    assert caught.value.failure.code == "device_revoked"
    await ward.send("ada", "POST", f"{here}/revoke", {"what": "person", "reason": "left"})
    assert (await ward.come(ward.pia, ward.tablet)).refusal == "revoked"
    await ward.send("ada", "POST", f"{here}/restore")
    assert (await ward.come(ward.pia, ward.tablet)).refusal == ""


async def test_an_admin_signs_somebody_out(ward: Ward) -> None:
    assert (await ward.send("quinn", "POST", f"/{ward.session}/sign-out")).status_code == 403
    assert (await ward.send("ada", "POST", f"/{ward.session}/sign-out")).json()["ended_by"] == "signed_out"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/hand-off", {"to": ""}, "to"),
        ("/hand-off", {"to": QUINN, "note": "x" * 501}, "note"),
        ("/hand-off", {"to": QUINN, "offer_id": "mine"}, "offer_id"),
        ("/revoke", {"what": "all", "reason": "r"}, "what"),
        ("/revoke", {"what": "device", "reason": " "}, "reason"),
    ],
)
async def test_a_malformed_body_is_refused_with_its_field(ward: Ward, path: str, body: Any, field: str) -> None:
    answer = await ward.send("pia", "POST", f"/{ward.session}{path}", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == field

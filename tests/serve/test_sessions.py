"""Provider sessions over HTTP: lists, quarantine and its resolution, hand-offs, revocation."""

import hashlib
from typing import Any

import httpx
import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, NotFound, TooMany
from domain.ids import derived_id, device_command_id, new_id
from realtime.ports import Admission, DeviceKeepsCount, Entry
from serve.live.ledger import SessionLedger
from services.entities import Sender
from services.sessions import RECORD_BYTES_MAX, SessionEntry
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House
from tests.serve.test_rooms import Clinic

PIA, QUINN, ADA = new_id(), new_id(), new_id()


class Ward:
    """A clinic with a location and a room, Pia and Quinn with a tablet each."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.house = clinic.house
        self.sessions = clinic.house.gateway.sessions
        self.pia = Actor(PIA, ("provider",), (CLINIC,))
        self.quinn = Actor(QUINN, ("provider",), (CLINIC,))
        self.headers = {
            "pia": clinic.house.bearer(PIA, "provider", orgs=(CLINIC,)),
            "quinn": clinic.house.bearer(QUINN, "provider", orgs=(CLINIC,)),
            "ada": clinic.house.bearer(ADA, "admin", orgs=(CLINIC,)),
            "fred": clinic.desk,
            "olga": clinic.stranger,
        }
        self.tablet = new_id()
        self.session = ""
        self.other = ""

    async def open(self) -> "Ward":
        self.session = (await self.come(self.pia, self.tablet)).session_id
        self.other = (await self.come(self.quinn, new_id())).session_id
        return self

    async def come(self, actor: Actor, tablet: str, epoch: int = 1, first_unacked: int = 1) -> Any:
        return await self.sessions.open(actor, tablet, epoch, first_unacked, "c-1", self.clinic.location)

    async def send(self, who: str, method: str, path: str, body: Any = None, **more: str) -> httpx.Response:
        return await self.clinic.send(method, f"/sessions{path}", self.headers[who], body, **more)

    async def see(self, session_id: str, who: str = "fred") -> dict[str, Any]:
        return dict((await self.send(who, "GET", f"/{session_id}")).json())

    async def device_does(self, actor: Actor, op: str, session_id: str = "", **args: Any) -> Any:
        ent = f"session/{session_id or self.session}"
        number = hashlib.sha256(new_id().encode()).digest()[:16]
        sender = Sender(actor, "c-1.1", number, b"h" * 16, device=self.tablet)
        return await self.house.gateway.device_commands.execute(sender, ent, op, args)

    async def holds_room(self, hashed: bytes) -> Any:
        """The first command of Pia's tablet, executed."""
        sender = Sender(self.pia, "c-1.1", device_command_id(PIA, self.tablet, 1, 1), hashed, device=self.tablet)
        commands = self.house.gateway.device_commands
        return await commands.execute(sender, f"room/{self.clinic.room}", "set_status", {"to": "held"})

    async def quarantine(self, seq: int = 1, ent: str = "", hash: bytes = b"", **args: Any) -> str:
        """A command that was refused: to hold the room, unless it says otherwise."""
        hashed = hash or b"%016d" % seq
        item_id = derived_id("quarantine", self.session, "1", str(seq), hashed)
        entry = SessionEntry(
            epoch=1,
            seq=seq,
            hash=hashed,
            result={"status": "rejected", "code": "revoked", "detail": "Not now."},
            command={
                "ent": ent or f"room/{self.clinic.room}",
                "op": "set_status",
                "args": args or {"to": "held"},
                "schema": 1,
            },
            item_id=item_id,
        )
        await self.sessions.record(self.pia, self.session, 1, [entry])
        return item_id


@pytest.fixture
async def ward(house: House) -> Ward:
    return await Ward(await Clinic(house).open()).open()


# -- the ledger -----------------------------------------------------------------------------------


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


# -- lists ----------------------------------------------------------------------------------------


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


# -- quarantine -----------------------------------------------------------------------------------


async def test_what_is_in_quarantine_is_listed_without_its_content_and_shown_audited(ward: Ward) -> None:
    item = await ward.quarantine()
    (entry,) = (await ward.send("fred", "GET", f"/{ward.session}/quarantine")).json()["items"]
    assert (entry["id"], entry["op"], entry["code"]) == (item, "set_status", "revoked")
    assert "args" not in str(entry)
    shown = await ward.send("quinn", "GET", f"/{ward.session}/quarantine/{item}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["command"]["args"] == {"to": "held"}
    assert (shown.json()["by"], shown.json()["detail"]) == (PIA, "Not now.")
    assert "hash" not in shown.json()
    (event,) = ward.house.gateway.audit_store.kept  # type: ignore[attr-defined]
    assert (event.actor, event.kind, event.object_id, event.organization_id) == (QUINN, "quarantine", item, CLINIC)
    assert (await ward.send("fred", "GET", f"/{ward.session}/quarantine/{item}")).status_code == 403


async def test_a_retry_runs_the_command_once_in_the_name_of_who_decided(ward: Ward) -> None:
    item = await ward.quarantine()
    path, body = f"/{ward.session}/quarantine/{item}/resolve", {"action": "retry", "reason": "she works here again"}
    answer = await ward.send("quinn", "POST", path, body, **{"Idempotency-Key": "k-1"})
    assert answer.status_code == 200, answer.text
    assert "quarantine" not in answer.json()
    room = (await ward.clinic.send("GET", f"/rooms/{ward.clinic.room}", ward.headers["fred"])).json()
    assert (room["status"], room["by"]) == ("held", QUINN)
    again = await ward.send("quinn", "POST", path, body, **{"Idempotency-Key": "k-1"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert (await ward.send("quinn", "POST", path, body)).status_code == 404


async def test_a_retry_of_what_had_been_executed_after_all_changes_nothing(ward: Ward) -> None:
    hashed = b"0" * 16
    done = await ward.holds_room(hashed)
    await ward.clinic.move(ward.headers["fred"], status="available")
    item = await ward.quarantine(hash=hashed)
    body = {"action": "retry", "reason": "was it done?"}
    assert (await ward.send("pia", "POST", f"/{ward.session}/quarantine/{item}/resolve", body)).status_code == 200
    room = (await ward.clinic.send("GET", f"/rooms/{ward.clinic.room}", ward.headers["fred"])).json()
    assert (room["status"], room["version"]) == ("available", done.version + 1)


async def test_a_retry_under_a_number_that_another_command_had_runs_too(ward: Ward) -> None:
    await ward.holds_room(b"1" * 16)
    item = await ward.quarantine(to="available")
    body = {"action": "retry", "reason": "it is another one"}
    assert (await ward.send("pia", "POST", f"/{ward.session}/quarantine/{item}/resolve", body)).status_code == 200
    room = (await ward.clinic.send("GET", f"/rooms/{ward.clinic.room}", ward.headers["fred"])).json()
    assert room["status"] == "available"


async def test_a_retry_that_is_refused_again_says_why_and_the_command_stays(ward: Ward) -> None:
    item = await ward.quarantine(to="cleaning")
    path = f"/{ward.session}/quarantine/{item}/resolve"
    refused = await ward.send("pia", "POST", path, {"action": "retry", "reason": "try"})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert list((await ward.see(ward.session))["quarantine"]) == [item]
    stale = await ward.send("pia", "POST", path, {"action": "discard", "reason": "r"}, **{"If-Match": '"1"'})
    assert stale.status_code == 412
    gone = await ward.send("pia", "POST", path, {"action": "discard", "reason": "charted on paper"})
    assert "quarantine" not in gone.json()


async def test_a_command_of_an_unknown_schema_is_not_retried(ward: Ward) -> None:
    entry = SessionEntry(
        epoch=1,
        seq=1,
        hash=b"h",
        result={"status": "rejected", "code": "schema_unsupported"},
        command={"ent": f"room/{ward.clinic.room}", "op": "set_status", "args": {"to": "held"}, "schema": 2},
        item_id=new_id(),
    )
    await ward.sessions.record(ward.pia, ward.session, 1, [entry])
    path = f"/{ward.session}/quarantine/{entry.item_id}/resolve"
    answer = await ward.send("pia", "POST", path, {"action": "retry", "reason": "try"})
    assert (answer.status_code, answer.json()["code"]) == (422, "schema_unsupported")


async def test_a_tablet_resolves_over_the_socket_too(ward: Ward) -> None:
    item = await ward.quarantine()
    answer = await ward.device_does(ward.pia, "resolve", item_id=item, action="retry", reason="again")
    assert answer.data == {"item_id": item, "action": "retry", "outcome": "applied"}


# -- hand-off -------------------------------------------------------------------------------------


async def at_work(ward: Ward) -> None:
    """Pia is in the room with a patient and has claimed it."""
    await ward.clinic.room_patient()
    await ward.device_does(ward.pia, "enter", room_id=ward.clinic.room, patient_id="p-1", visit_id="v-1")
    await ward.device_does(ward.pia, "open_document", document_id="d-1")
    await ward.clinic.send("POST", f"/rooms/{ward.clinic.room}/claim", ward.headers["pia"])


async def offer(ward: Ward, to: str = QUINN) -> str:
    made = await ward.send("pia", "POST", f"/{ward.session}/hand-off", {"to": to, "note": "20 units are left"})
    assert made.status_code == 201, made.text
    (offer_id,) = made.json()["hand_offs"]
    return str(offer_id)


async def room_of(ward: Ward) -> dict[str, Any]:
    return dict((await ward.clinic.send("GET", f"/rooms/{ward.clinic.room}", ward.headers["fred"])).json())


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


# -- rights ---------------------------------------------------------------------------------------


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

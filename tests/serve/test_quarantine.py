"""What a session keeps in quarantine, over HTTP: shown to those who decide, retried once, given up."""

from typing import Any

import pytest

from domain.hlc import stamp
from domain.ids import derived_id, device_command_id, new_id
from services.entities import Sender
from services.sessions import SessionEntry
from tests.serve.clinic import CLINIC
from tests.serve.ward import PIA, QUINN, Ward


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
    assert (room["status"], room["by"], room["device"]) == ("held", QUINN, ward.tablet)
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


async def does(ward: Ward, document_id: str, seq: int, op: str, args: dict[str, Any], **more: Any) -> None:
    """As Pia's tablet, or as `by` at it."""
    by, base_fver = more.pop("by", ward.pia), more.pop("base_fver", None)
    number = device_command_id(by.subject, ward.tablet, 1, seq)
    sender = Sender(by, "c-1.1", number, b"b" * 16, device=ward.tablet, **more)
    await ward.house.gateway.device_commands.execute(sender, f"document/{document_id}", op, args, base_fver)


async def chart(ward: Ward) -> str:
    """A document that Pia's tablet has opened with its first command."""
    document_id = new_id()
    args = {"organization_id": CLINIC, "location_id": ward.clinic.location, "patient_id": "p-1", "template": "t"}
    await does(ward, document_id, 1, "create", args)
    return document_id


async def refused_dose(ward: Ward, document_id: str, base_fver: int, told: str = "") -> str:
    """Its second command, 10 U, came with an old epoch and waits in quarantine."""
    item_id = derived_id("quarantine", ward.session, "1", "2", b"h" * 16)
    dose = {"ent": f"document/{document_id}", "op": "set_field", "args": {"name": "a.dose", "value": "10 U"}}
    entries = [
        SessionEntry(epoch=1, seq=1, hash=b"g" * 16, result={"status": "applied"}),
        SessionEntry(
            epoch=1,
            seq=2,
            hash=b"h" * 16,
            result={"status": "rejected", "code": "old_epoch"},
            command={**dose, "base_fver": base_fver, "schema": 1, **({"hlc": told} if told else {})},
            item_id=item_id,
        ),
    ]
    await ward.sessions.record(ward.pia, ward.session, 1, entries)
    return item_id


async def retried_dose(ward: Ward, document_id: str, item_id: str) -> tuple[str, int]:
    """The dose after the retry, and how many conflicts are open."""
    path = f"/{ward.session}/quarantine/{item_id}/resolve"
    decided = await ward.send("pia", "POST", path, {"action": "retry", "reason": "was it lost?"})
    assert decided.status_code == 200, decided.text
    shown = (await ward.clinic.send("GET", f"/documentation/{document_id}", ward.headers["pia"])).json()
    return shown["fields"]["a.dose"]["value"], shown["open_conflicts"]


@pytest.mark.parametrize("told", ["", "not a stamp"])
async def test_a_retried_edit_without_a_time_does_not_overwrite_what_its_author_wrote_since(
    ward: Ward, told: str
) -> None:
    document_id = await chart(ward)
    item_id = await refused_dose(ward, document_id, 0, told)
    ward.house.clock.advance(seconds=60)
    later = stamp(ward.house.clock.now_ms())
    await does(ward, document_id, 3, "set_field", {"name": "a.dose", "value": "2 U"}, base_fver=0, hlc=later)
    assert await retried_dose(ward, document_id, item_id) == ("2 U", 1)


async def test_a_retried_edit_replaces_the_value_that_its_author_had_seen(ward: Ward) -> None:
    document_id = await chart(ward)
    await does(ward, document_id, 1, "set_field", {"name": "a.dose", "value": "2 U"}, base_fver=0, by=ward.quinn)
    item_id = await refused_dose(ward, document_id, base_fver=2)
    assert await retried_dose(ward, document_id, item_id) == ("10 U", 0)

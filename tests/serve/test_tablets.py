"""Tablets on real sockets: two chart one patient, offline too; nothing is lost, nothing overwritten unseen."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from actors.session_commands import session_id_of
from domain.ids import new_id
from realtime.client.live import LiveClient
from realtime.client.queue import MemoryQueue
from realtime.presence import Presence
from serve.live.adapters import AuditWitness
from serve.live.ledger import SessionLedger
from tests.realtime.presences import FakeBus
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House
from tests.serve.sockets import Tablets, live_clinic
from tests.serve.test_rooms import ADA, OLGA, PIA, QUINN

SYNC = "/api/v1/treatments/provider-sync"
CHARTING = "/api/v1/treatments/documentation-update"


class Practice(Tablets):
    def tablet(self, subject: str, queue: MemoryQueue | None = None, **options: Any) -> LiveClient:
        return self.client(subject, url=self.url(path=SYNC), queue=queue, **options)

    async def chart(self, tablet: LiveClient) -> str:
        """A document begun on a tablet."""
        ent = f"document/{new_id()}"
        begun = await tablet.command(
            ent,
            "create",
            {
                "organization_id": CLINIC,
                "location_id": self.clinic.location,
                "patient_id": "p-1",
                "visit_id": "v-1",
                "template": "toxin",
            },
        )
        assert begun.status == "applied", begun
        return ent

    async def session(self, subject: str, queue: MemoryQueue) -> dict[str, Any]:
        found = await self.clinic.house.local.client.read(
            "session", session_id_of(subject, queue.device_id), actor=self.actor(subject), want=1
        )
        view: dict[str, Any] = msgspec.json.decode(found.view)
        return view

    def actor(self, subject: str) -> Any:
        return self.clinic.house.tokens.verify(self.token(subject)).actor

    def token(self, subject: str, organization: str = CLINIC) -> str:
        return self.clinic.house.tokens.issue(subject, ("provider",), (organization,))


@pytest.fixture
async def practice(house: House) -> AsyncIterator[Practice]:
    runtime = house.gateway
    async with live_clinic(
        house,
        ledger=SessionLedger(runtime.sessions),
        witness=AuditWitness(runtime.documents),
        presence=Presence(runtime.gateway_id, FakeBus()),
    ) as (clinic, port):
        yield Practice(clinic, port)


async def test_a_provider_s_tablet_has_its_session_its_documents_and_its_location_s_rooms(practice: Practice) -> None:
    queue = MemoryQueue()
    async with practice.tablet(PIA, queue) as tablet:
        await tablet.connected()
        assert tablet.welcome is not None
        session = f"session/{tablet.welcome['session']}"
        board = tablet.follow(practice.group)
        mine = tablet.follow(f"user/{PIA}/documents")
        own = tablet.follow(session)
        await board.until(lambda one: practice.ent in one.entities)
        ent = await practice.chart(tablet)
        await mine.until(lambda one: ent in one.entities)
        await own.until(lambda one: one.current and one.state()["last_seq"] == 1)
        assert (await practice.session(PIA, queue))["status"] == "active"


async def test_two_doses_written_offline_are_both_kept_until_somebody_decides(practice: Practice) -> None:
    async with practice.tablet(PIA) as pia, practice.tablet(QUINN) as quinn:
        ent = await practice.chart(pia)
        first = await pia.command(ent, "set_field", {"name": "plan.dose", "value": "10 U"}, base_fver=0)
        late = await quinn.command(ent, "set_field", {"name": "plan.dose", "value": "2 U"}, base_fver=0)
        assert (first.status, late.status, late.current) == ("applied", "conflict", "10 U")
        chart = await pia.subscribe(ent)
        state = chart.state()
        assert state["fields"]["plan.dose"]["value"] == "10 U"
        (conflict_id,) = state["conflicts"]
        assert conflict_id == late.conflict_id
        ready = await pia.command(ent, "set_status", {"from": "draft", "to": "ready"})
        signed = await pia.command(ent, "sign", practice_signature(state, practice.token(PIA)))
        assert (ready.status, signed.status, signed.code) == ("applied", "rejected", "conflicts_open")
        decided = await quinn.command(ent, "resolve", {"conflict_id": conflict_id, "value": "2 U", "reason": "agreed"})
        assert decided.status == "applied"
        await chart.until(lambda one: one.state()["open_conflicts"] == 0)
        if chart.state()["status"] == "draft":
            await pia.command(ent, "set_status", {"from": "draft", "to": "ready"})
            await chart.until(lambda one: one.state()["status"] == "ready")
        signed = await pia.command(ent, "sign", practice_signature(chart.state(), practice.token(PIA)))
        assert signed.status == "applied", signed
        await chart.until(lambda one: one.state()["status"] == "signed")


def practice_signature(state: dict[str, Any], proof: str) -> dict[str, Any]:
    return {
        "meaning": "author",
        "printed_name": "Dr. Pia Park",
        "content_hash": state["content_hash"],
        "proof": proof,
    }


async def test_a_point_outside_the_face_is_refused_by_field_and_kept_for_people(practice: Practice) -> None:
    queue = MemoryQueue()
    async with practice.tablet(PIA, queue) as tablet:
        ent = await practice.chart(tablet)
        point = {"point_id": new_id(), "view": "front", "x": 1, "y": 1, "planned": True}
        refused = await tablet.command(ent, "add_point", point)
        assert refused.status == "rejected"
        assert {error["path"] for error in refused.errors} & {"x", "y"}
        (item_id,) = (await practice.session(PIA, queue))["quarantine"]
        assert item_id == refused.quarantined
        decided = await tablet.command(
            f"session/{session_id_of(PIA, queue.device_id)}",
            "resolve",
            {"item_id": item_id, "action": "discard", "reason": "a slip of the pen"},
        )
        assert decided.status == "applied", decided
        assert not (await practice.session(PIA, queue)).get("quarantine")


@pytest.mark.parametrize(
    "fields",
    [{"dose": "-2.5", "planned": True}, {"dose": "2.5", "product_id": new_id()}],
    ids=["negative", "unknown product"],
)
async def test_an_injection_that_makes_no_sense_is_refused_by_field_and_kept(
    practice: Practice, fields: dict[str, Any]
) -> None:
    queue = MemoryQueue()
    async with practice.tablet(PIA, queue) as tablet:
        ent = await practice.chart(tablet)
        point = {"point_id": new_id(), "view": "front", "x": 500, "y": 300, "unit": "U", **fields}
        refused = await tablet.command(ent, "add_point", point)
        assert refused.status == "rejected", refused
        assert refused.errors[0]["path"] in fields
        assert refused.quarantined in (await practice.session(PIA, queue))["quarantine"]


async def test_a_room_of_another_clinic_is_forbidden_and_in_the_trail(practice: Practice) -> None:
    async with practice.client(OLGA, organization=OTHER_CLINIC, url=practice.url(path=SYNC).split("?")[0]) as tablet:
        refused = await tablet.command(practice.ent, "set_status", {"to": "held"})
        assert (refused.status, refused.code) == ("rejected", "forbidden")
        kept = practice.clinic.house.gateway.audit_store.kept  # type: ignore[attr-defined]
        assert (kept[-1].actor, kept[-1].object_id, kept[-1].outcome) == (OLGA, practice.clinic.room, "forbidden")


async def test_charting_shows_one_document_and_the_trail_knows_who_looked(practice: Practice) -> None:
    async with practice.tablet(PIA) as pia:
        ent = await practice.chart(pia)
        url = (
            practice.url(path=CHARTING)
            .replace("location=", "document=")
            .replace(practice.clinic.location, ent.partition("/")[2])
        )
        async with practice.client(QUINN, url=url) as quinn:
            seen = quinn.follow(ent)
            await seen.until(lambda one: one.current and one.state() is not None)
            assert seen.state()["patient_id"] == "p-1"
    kept = practice.clinic.house.gateway.audit_store.kept  # type: ignore[attr-defined]
    assert (QUINN, "follow", "p-1") in {(event.actor, event.action, event.patient_id) for event in kept}


async def test_a_document_that_joins_a_followed_list_is_in_the_trail_before_it_is_shown(practice: Practice) -> None:
    async with practice.tablet(PIA) as pia, practice.tablet(QUINN) as quinn:
        charts = await quinn.subscribe(f"location/{practice.clinic.location}/documents")
        ent = await practice.chart(pia)
        await charts.until(lambda one: ent in one.entities)
    kept = practice.clinic.house.gateway.audit_store.kept  # type: ignore[attr-defined]
    seen = [(event.actor, event.action) for event in kept if f"document/{event.object_id}" == ent]
    assert seen.count((QUINN, "follow")) == 1


async def test_a_revoked_person_s_late_edits_wait_for_an_admin(practice: Practice) -> None:
    queue = MemoryQueue()
    async with practice.tablet(PIA, queue) as tablet:
        ent = await practice.chart(tablet)
        session_id = session_id_of(PIA, queue.device_id)
        admin = practice.clinic.house.bearer(ADA, "admin", orgs=(CLINIC,))
        revoked = await practice.clinic.send(
            "POST", f"/sessions/{session_id}/revoke", admin, {"what": "person", "reason": "has left"}
        )
        assert revoked.status_code == 200, revoked.text
        note = {"note_id": new_id(), "text": "swelling at 14:05"}
        late = await tablet.command(ent, "append_note", note)
        assert (late.status, late.code) == ("rejected", "revoked")
        again = await practice.clinic.send(
            "POST",
            f"/sessions/{session_id}/quarantine/{late.quarantined}/resolve",
            practice.clinic.second,
            {"action": "retry", "reason": "seen by me too"},
        )
        assert again.status_code == 200, again.text
        chart = await practice.clinic.send("GET", f"/documentation/{ent.partition('/')[2]}", practice.clinic.second)
        assert [one["text"] for one in chart.json()["notes"].values()] == [note["text"]]


async def test_a_killed_host_loses_no_edit_and_repeats_none(practice: Practice) -> None:
    async with practice.tablet(PIA) as tablet:
        ent = await practice.chart(tablet)
        for number in range(40):
            if number == 20:
                await practice.clinic.house.local.start_host("host-1")
            result = await tablet.command(ent, "append_note", {"note_id": new_id(), "text": f"note {number}"})
            assert result.ok, result
        chart = await tablet.subscribe(ent)
        assert sorted(one["text"] for one in chart.state()["notes"].values()) == sorted(
            f"note {number}" for number in range(40)
        )

"""The first four acts: they plan together, are cut off, chart the same patient apart, and come back."""

import time
from typing import Final

import psutil

from cluster.demo.tablets.company import Company, Kill, gone
from cluster.demo.tablets.evidence import KEPT
from cluster.demo.tablets.reconcile import digest
from cluster.demo.tablets.seats import Seat
from cluster.demo.tablets.traces import in_chart, in_quarantine, in_room, injected, moved
from domain.ids import new_id

DOSE: Final = "treatment.dose"
VIAL: Final = "vial-1"
_FRONT: Final = {"glabella": (500, 330), "forehead": (420, 220)}
_BESIDE: Final = (40, 40)


async def log_in(company: Company) -> None:
    """Everybody is at their device, and each sees the rooms."""
    for seat in company.seats:
        await seat.tablet.start()
    await company.board.start()
    await company.both("the room", lambda tablet: tablet.state(company.room_ent))
    await company.say(f"Pia and Quinn log in at their tablets; the board shows {len(company.clinic.rooms)} rooms")


async def chart_together(company: Company) -> None:
    """Online: the patient is roomed, the room claimed, the chart begun, the treatment planned."""
    clinic, pia, quinn, book = company.clinic, company.pia, company.quinn, company.book
    patient, visit = new_id(), new_id()
    await company.front_desk("held", visit_id=visit)
    await company.front_desk("roomed", patient_id=patient, visit_id=visit)
    await pia.until("the patient", lambda tablet: tablet.state(company.room_ent)["status"] == "roomed")
    await company.say(f"Olga at the front desk brings the patient to {company.room_name}")

    room = pia.tablet.room(company.room)
    claim = book.made(pia, "claim the room", room.claim(), in_room("claimed"))
    await book.result(claim, "the claim")
    book.made(pia, "the room to in_treatment", room.set_status("in_treatment"), moved("in_treatment"))
    _shows(company, pia, "treatment")
    await pia.synced()
    await company.say("Pia claims the room and begins")

    _plan(company, patient, visit)
    await pia.synced()
    chart = company.chart(quinn)
    chart.follow()
    await quinn.until("the chart", company.chart_on)
    book.made(quinn, "take part", chart.join(), in_chart("joined"))
    _shows(company, quinn, "assists")
    await quinn.synced()
    quinn_id = clinic.quinn.subject
    await company.both("Quinn", lambda tablet: quinn_id in company.chart_on(tablet).get("participants", {}))
    await company.all_there()
    await company.say("they plan: 4 U in two points, from a vial of 10 U", show=True)


def _plan(company: Company, patient: str, visit: str) -> None:
    clinic, pia, book = company.clinic, company.pia, company.book
    chart = pia.tablet.document()
    company.document = chart.id
    create = chart.create(
        clinic.organization_id,
        clinic.location_id,
        patient,
        "neurotoxin",
        visit_id=visit,
        needs_cosign=True,
        cosigner=clinic.quinn.subject,
    )
    book.made(pia, "begin the chart", create, in_chart("created", document_id=chart.id))
    chart.follow()
    book.made(pia, "dose 4 U", chart.set_field(DOSE, "4 U"), in_chart("register_set", register=DOSE, value="4 U"))
    vial = chart.open_container(VIAL, clinic.product_id, "10", "U", lot="C1234")
    book.made(pia, "open a vial of 10 U", vial, in_chart("container_opened", container_id=VIAL))
    for name, (x, y) in _FRONT.items():
        plan = {"product_id": clinic.product_id, "dose": "2", "unit": "U", "container_id": VIAL}
        point = chart.add_point("front", x, y, planned=True, **plan)
        point_id = point.args["point_id"]
        company.points[point_id] = name
        book.made(pia, f"plan 2 U, {name}", point, in_chart("point_added", point_id=point_id))


async def chart_apart(company: Company) -> None:
    """Offline, both of them: the same patient, the same field, the same vial, the same room."""
    for seat in company.seats:
        await seat.tablet.offline()
    await company.board.until("an empty room", lambda rooms: not rooms.people)
    await company.say("both links are cut")
    _pia_offline(company)
    await company.say("Pia, offline: dose 10 U, 6 U into the glabella, a note, the room to waiting")
    _quinn_offline(company)
    await company.say("Quinn, offline: dose 2 U, 6 U into the forehead, a point beside the face, the room to turnover")


def _pia_offline(company: Company) -> None:
    pia, book, chart = company.pia, company.book, company.chart(company.pia)
    glabella, _ = company.points
    room = pia.tablet.room(company.room)
    dose = chart.set_field(DOSE, "10 U")
    book.made(pia, "dose 10 U, offline", dose, in_chart("register_set", register=DOSE, value="10 U"))
    injection = chart.perform(glabella, dose="6", unit="U")
    book.made(pia, "inject 6 U into the glabella, offline", injection, injected(glabella, "6"))
    note = chart.note("Tolerated well.")
    book.made(pia, "a note, offline", note, in_chart("note_appended", note_id=note.args["note_id"]))
    book.made(pia, "the room to waiting, offline", room.set_status("waiting", waiting_for="recovery"), moved("waiting"))


def _quinn_offline(company: Company) -> None:
    quinn, book, chart = company.quinn, company.book, company.chart(company.quinn)
    _, forehead = company.points
    dose = chart.set_field(DOSE, "2 U")
    both_values = in_chart("conflict_raised", register=DOSE, current="10 U", offered="2 U")
    never = in_chart("register_set", 0, register=DOSE, value="2 U")
    book.made(quinn, "dose 2 U, offline", dose, both_values, never, wanted=KEPT)
    injection = chart.perform(forehead, dose="6", unit="U")
    book.made(quinn, "inject 6 U into the forehead, offline", injection, injected(forehead, "6"))
    beside = chart.add_point("front", *_BESIDE, product_id=company.clinic.product_id, dose="1", unit="U")
    point_id = beside.args["point_id"]
    company.points[point_id] = "beside the face"
    traces = in_quarantine("add_point", point_id=point_id), in_chart("point_added", 0, point_id=point_id)
    book.made(quinn, "a point beside the face, offline", beside, *traces, wanted="rejected: outside_face")
    turnover = quinn.tablet.room(company.room).set_status("turnover")
    book.made(quinn, "the room to turnover, offline", turnover, moved("turnover", 0), wanted="conflict with waiting")


async def restart_an_app(company: Company) -> None:
    """Quinn's app dies with everything unsent, and shows the same chart when it is started again, still offline."""
    quinn, book = company.quinn, company.book
    before = digest(company.chart_on(quinn.tablet))
    shown = await quinn.killed_app(company.document, "Ice applied.")
    book.reopened(quinn)
    note = next(edit for edit in quinn.tablet.edits() if edit.seq == shown.seq)
    book.made(quinn, "a note, then SIGKILL to the app", note, in_chart("note_appended", note_id=shown.note_id))
    book.check("Quinn's chart in an app started anew, offline", before, shown.before)
    book.check("Quinn's chart after SIGKILL to the app, offline", shown.after, digest(company.chart_on(quinn.tablet)))
    book.check("Quinn's queue after SIGKILL to the app", shown.queued, len(quinn.tablet.queue))
    _shows(company, quinn, "assists")
    company.edits_offline = sum(len(seat.tablet.queue) for seat in company.seats)
    text = f"Quinn's app is killed and started again, still offline: the same chart, {shown.queued} edits in its queue"
    await company.say(text, show=True)


async def come_back(company: Company) -> None:
    """The host of Pia's session is killed; both return, Pia first; the queues drain."""
    pia, quinn, book = company.pia, company.quinn, company.book
    victim = await company.owner_of_session(pia)
    first = pia.tablet.edits()[0]
    process = None if victim is None else psutil.Process(victim.pid)
    killed_at = time.monotonic()
    if victim is not None and process is not None:
        process.kill()
        await company.say(f"SIGKILL to {victim.name} (pid {victim.pid}), the host of Pia's session")
    pia.tablet.online()
    await book.result(first, "Pia's first edit")
    pause_ms = round((time.monotonic() - killed_at) * 1_000, 1)
    await pia.synced()
    if victim is None or process is None:
        await company.say("Pia is back, her queue has drained")
    else:
        company.kill = Kill(victim.name, victim.pid, pause_ms)
        book.check("the host of Pia's session, after SIGKILL", "gone", await gone(process))
        await company.say(f"Pia is back: her first result {pause_ms:,.0f} ms after the kill, then all the others")

    quinn.tablet.online()
    await quinn.synced()
    await company.board.until("waiting", lambda _: company.board.state(company.room).get("status") == "waiting")
    await company.both("the conflict", lambda tablet: company.chart_on(tablet).get("open_conflicts") == 1)
    await company.both("the alert", lambda tablet: _alerts(company.chart_on(tablet)))
    await company.all_there()
    for seat in company.seats:
        chart, where = company.chart_on(seat.tablet), f"on {seat.person.name}'s tablet"
        book.check(f"the conflict {where}", "10 U or 2 U", _both_values(chart))
        book.check(f"the vial's alert {where}", "overdrawn", _alerts(chart))
    refused = sorted(one.edit.op for one in quinn.tablet.unseen())
    book.check("what Quinn is told came to nothing", "add_point, set_field, set_status", ", ".join(refused))
    text = "Quinn is back: both doses are kept as a conflict, the vial is overdrawn, the room stays in waiting"
    await company.say(text, show=True)


def _shows(company: Company, seat: Seat, doing: str) -> None:
    seat.tablet.presence(company.board.channel, {"room": company.room, "doing": doing})


def _alerts(chart: dict[str, object]) -> str:
    alerts = chart.get("alerts")
    return ", ".join(one["kind"] for one in alerts.values()) if isinstance(alerts, dict) else ""


def _both_values(chart: dict[str, object]) -> str:
    conflicts = chart.get("conflicts")
    one = next(iter(conflicts.values())) if isinstance(conflicts, dict) and conflicts else {}
    return " or ".join(one[side]["value"] for side in ("current", "offered") if side in one)

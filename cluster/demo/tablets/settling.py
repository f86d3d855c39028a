"""The last three acts: what came to nothing is put right by people, the chart is signed twice, everything compared."""

import time
from typing import Any, Final

from cluster.demo.tablets.company import Company
from cluster.demo.tablets.evidence import Evidence, Sight
from cluster.demo.tablets.reconcile import SERVER
from cluster.demo.tablets.seats import Seat
from cluster.demo.tablets.traces import in_chart, made_ready, moved
from realtime.client.notices import Edit

LONG_AGO_S: Final = 3_600
MEANING: Final = {"Pia": "I performed this treatment.", "Quinn": "I reviewed this treatment."}


async def put_right(company: Company) -> None:
    """The point is given up with a reason; nobody signs before the dose is decided; the dose is decided."""
    pia, quinn, book = company.pia, company.quinn, company.book
    server = company.server(quinn)
    company.quarantined = await server.quarantined(quinn.session_id)
    for item_id in quinn.tablet.session.state.get("quarantine", {}):
        discard = quinn.tablet.session.resolve(item_id, "discard", "slipped: nothing was injected there")
        book.made(quinn, "discard the point beside the face", discard)
    await quinn.synced()
    book.check("commands left in quarantine", 0, len(await server.quarantined(quinn.session_id)))
    await company.say("Quinn discards the point that is not on the face, with a reason")

    book.made(pia, "the chart to ready", company.chart(pia).ready(), made_ready())
    await pia.synced()
    book.made(pia, "sign over an open conflict", _sign(company, pia), wanted="rejected: conflicts_open")
    await pia.synced()
    await company.say("Pia cannot sign: a conflict is open")

    await quinn.until("the chart to be ready", lambda tablet: company.status_on(tablet) == "ready")
    chart = company.chart(quinn)
    conflict_id = next(iter(chart.state["conflicts"]))
    resolve = chart.resolve(conflict_id, "12 U", "6 U each were injected")
    trace = in_chart("conflict_resolved", conflict_id=conflict_id, value="12 U")
    book.made(quinn, "resolve the conflict: 12 U", resolve, trace)
    book.made(quinn, "the chart to ready again", chart.ready(), made_ready())
    await quinn.synced()
    await pia.until("the decision", lambda tablet: company.chart_on(tablet).get("open_conflicts") == 0)
    await pia.until("the chart to be ready", lambda tablet: company.status_on(tablet) == "ready")
    await company.say("Quinn resolves it: 12 U, for each of them has injected 6 U", show=True)


async def sign(company: Company) -> None:
    """Signed by Pia with a fresh login, co-signed by Quinn: two people, the same content."""
    pia, quinn, book = company.pia, company.quinn, company.book
    stale = _sign(company, pia, logged_in=int(time.time()) - LONG_AGO_S)
    book.made(pia, "sign with a login of an hour ago", stale, wanted="rejected: reauthentication_required")
    await pia.synced()
    shown = company.chart_on(pia.tablet)["content_hash"]
    book.made(pia, "sign", _sign(company, pia), in_chart("signed", content_hash=shown))
    await pia.synced()
    await company.say("Pia signs, having logged in again for it")

    book.made(pia, "co-sign her own signature", _sign(company, pia, cosign=True), wanted="rejected: same_signer")
    await pia.synced()
    await quinn.until("Pia's signature", lambda tablet: company.status_on(tablet) == "pending_cosign")
    cosign = _sign(company, quinn, cosign=True)
    book.made(quinn, "co-sign", cosign, in_chart("signed", content_hash=shown, cosigner=True))
    await quinn.synced()
    await company.both("both signatures", lambda tablet: company.status_on(tablet) == "cosigned")

    room = pia.tablet.room(company.room)
    book.made(pia, "the room to turnover", room.set_status("turnover"), moved("turnover"))
    pia.tablet.presence(company.board.channel, {})
    await pia.synced()
    await company.left(pia.person)
    await company.say("Quinn co-signs, Pia could not; the patient leaves", show=True)

    view = await company.server(pia).get(f"/documentation/{company.document}")
    hashes = {"of the chart, by the API": view["content_hash"]}
    hashes |= {f"signed by {one['printed_name']}": one["content_hash"] for one in view["signatures"].values()}
    short = f"{shown[:12]}…"
    for whose, found in hashes.items():
        book.check(f"content hash {whose}", short, short if found == shown else found)
    book.check("signatures", 2, len(view["signatures"]))
    book.check("the dose at last", "12 U", view["fields"]["treatment.dose"]["value"])


def _sign(company: Company, seat: Seat, *, cosign: bool = False, logged_in: int | None = None) -> Edit:
    """What is signed is the content on the tablet; the proof is a login, by default of just now."""
    chart, person = company.chart(seat), seat.person
    proof = company.clinic.token(person, logged_in)
    give = chart.cosign if cosign else chart.sign
    return give(person.printed_name, MEANING[person.name], proof)


async def evidence(company: Company) -> Evidence:
    """Everything that the server has, once the screens have caught up with it."""
    server = company.server(company.pia)
    views = {"room": await server.get(f"/rooms/{company.room}")}
    views["chart"] = await server.get(f"/documentation/{company.document}")
    await _caught_up(company, views)
    sights = [Sight(where=SERVER, what=what, state=view) for what, view in views.items()]
    for seat in company.seats:
        where = f"{seat.person.name}'s tablet"
        sights.append(Sight(where=where, what="room", state=seat.tablet.state(company.room_ent)))
        sights.append(Sight(where=where, what="chart", state=company.chart_on(seat.tablet)))
    sights.append(Sight(where="the board", what="room", state=company.board.state(company.room)))
    for seat in company.seats:
        company.book.check(f"edits that wait on {seat.person.name}'s tablet", 0, len(seat.tablet.queue))
    events = [*await server.chart_events(company.document), *await server.room_events(company.room)]
    return Evidence(
        edits=company.book.edits(),
        events=(*events, *company.quarantined),
        sights=tuple(sights),
        checks=tuple(company.book.checks),
    )


async def _caught_up(company: Company, views: dict[str, dict[str, Any]]) -> None:
    """Everybody has at least the server's versions. Whether they show the same is for the verdict to say."""
    room, chart = views["room"]["version"], views["chart"]["version"]
    await company.both("the room as it is", lambda tablet: tablet.state(company.room_ent)["version"] >= room)
    await company.both("the chart as it is", lambda tablet: company.chart_on(tablet).get("version", 0) >= chart)
    await company.board.until(
        "the room as it is", lambda _: int(company.board.state(company.room).get("version", 0)) >= room
    )

"""The tablet client against the whole gateway: what two people did offline, and what they and the server agree on."""

from pathlib import Path
from typing import Any

import pytest

from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoding
from realtime.client.store import DeviceStore
from realtime.client.tablet import Tablet
from tests.conditions import until
from tests.serve.clinic import CLINIC
from tests.serve.test_rooms import PIA, QUINN
from tests.serve.test_tablets import SYNC, Practice, practice

__all__ = ["practice"]


class Bench:
    """Tablets that keep their store in one folder."""

    def __init__(self, practice: Practice, folder: Path) -> None:
        self.practice = practice
        self._folder = folder

    def tablet(self, subject: str, encoding: Encoding = "msgpack") -> Tablet:
        clinic = self.practice.clinic
        return Tablet(
            self.practice.url(path=SYNC),
            self.practice.token(subject),
            DeviceStore.open(self._folder / f"{subject}.db", subject=subject),
            encoding=encoding,
            backoff=FullJitter(0.01, 0.05),
            now_ms=clinic.house.clock.now_ms,
        )

    async def session_of(self, tablet: Tablet) -> dict[str, Any]:
        """As it is now: the tablet is not told of its count alone."""
        headers = {"Authorization": f"Bearer {self.practice.token(PIA)}"}
        answer = await self.practice.clinic.send("GET", f"/sessions/{tablet.session.state['id']}", headers)
        return dict(answer.json())


@pytest.fixture(name="bench")
def bench_of_tablets(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.getfixturevalue("practice"), tmp_path)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_chart_made_offline_is_there_for_the_other_when_both_are_back(bench: Bench, encoding: Encoding) -> None:
    location = bench.practice.clinic.location
    async with bench.tablet(PIA, encoding) as pia, bench.tablet(QUINN, encoding) as quinn:
        await pia.connected()
        await pia.offline()
        chart = pia.document()
        chart.create(CLINIC, location, "p-1", "toxin")
        chart.follow()
        first = chart.set_field("plan.dose", "5 mg")
        second = chart.set_field("plan.dose", "10 mg")
        chart.note("fine")
        assert chart.state["fields"]["plan.dose"]["value"] == "10 mg"
        pia.online()
        await pia.synced(confirmed=True)
        assert ((await first.result()).status, (await second.result()).status) == ("applied", "applied")
        theirs = quinn.document(chart.id)
        theirs.follow()
        await quinn.until(lambda one: theirs.state)
        assert theirs.state == chart.state


async def test_two_doses_written_offline_are_shown_as_a_conflict_and_signed_when_it_is_resolved(bench: Bench) -> None:
    location, token = bench.practice.clinic.location, bench.practice.token
    async with bench.tablet(PIA) as pia, bench.tablet(QUINN) as quinn:
        chart = pia.document()
        chart.create(CLINIC, location, "p-1", "toxin")
        chart.set_field("plan.dose", "1 U")
        await pia.synced()
        other = quinn.document(chart.id)
        for document, tablet in ((chart, pia), (other, quinn)):
            document.follow()
            await tablet.until(lambda _, document=document: "plan.dose" in (document.state or {}).get("fields", {}))
            await tablet.offline()
        early = chart.set_field("plan.dose", "10 U")
        late = other.set_field("plan.dose", "2 U")
        other.set_field("plan.dose", "3 U")
        pia.online()
        await pia.synced(confirmed=True)
        assert (await early.result()).status == "applied"
        quinn.online()
        await quinn.synced(confirmed=True)
        refused = list(quinn.unseen())
        assert [one.result.status for one in refused] == ["conflict", "conflict"]
        assert refused[0].edit.args["value"] == "2 U"
        assert (await late.result()).current == "10 U"
        await pia.until(lambda _: chart.state["open_conflicts"] == 2)
        for conflict_id in list(chart.state["conflicts"]):
            chart.resolve(conflict_id, "3 U", "asked again")
        assert chart.state["fields"]["plan.dose"]["value"] == "3 U"
        await pia.synced(confirmed=True)
        chart.ready()
        await pia.synced(confirmed=True)
        signing = chart.sign("Pia Park", "author", token(PIA))
        assert (await signing.result()).status == "applied"
        await quinn.until(lambda _: other.state["status"] == "signed")
        await pia.until(lambda _: chart.state["status"] == "signed")
        assert chart.state == other.state


async def test_a_restarted_tablet_sends_what_it_had_queued_once(bench: Bench) -> None:
    room = bench.practice.ent.partition("/")[2]
    async with bench.tablet(PIA) as pia:
        await pia.until(lambda one: one.room(room).state)
        await pia.offline()
        pia.room(room).set_status("held", visit_id="v-1")
        pia.session.enter(room)
    async with bench.tablet(PIA) as pia:
        assert pia.room(room).state["status"] == "held"
        await pia.synced(confirmed=True)
        assert (pia.room(room).state["status"], pia.session.state["room_id"]) == ("held", room)
        session = await bench.session_of(pia)
        assert session["last_seq"] == 2
        assert not list(pia.unseen())


async def test_a_claim_is_won_by_one_and_shown_to_the_other(bench: Bench) -> None:
    room = bench.practice.ent.partition("/")[2]
    async with bench.tablet(PIA) as pia, bench.tablet(QUINN) as quinn:
        for one in (pia, quinn):
            await one.until(lambda tablet: tablet.room(room).state)
        won = await pia.room(room).claim().result()
        lost = await quinn.room(room).claim().result()
        assert won.ok
        assert (lost.status, lost.code, lost.by) == ("rejected", "taken", PIA)
        await quinn.until(lambda one: one.room(room).state.get("claim"))
        assert "claim_intent" not in quinn.room(room).state
        await until(lambda: pia.claim_token(f"room/{room}") == won.reply["token"], "the token is known")

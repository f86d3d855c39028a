"""The tablet: what was done is seen and kept, without a network, over restarts, and whatever the server says to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.ids import derived_id
from realtime.client.errors import LiveClosedError, LiveRefusedError
from realtime.client.limits import ClientLimits
from realtime.client.notices import Changed, Linked, Notice, Refused, Withdrawn
from realtime.client.store import DeviceStore
from realtime.client.tablet import Tablet
from tests.conditions import until
from tests.realtime.scripted import Scripted, quick, scripted

BOARD = "location/l1/rooms"
MINE = "user/pia/documents"
ROOM = "room/r1"
DOC = "document/d1"
HELD = {"status": "held", "held_for": "v1", "by": "front", "occupied": False}
CHART: dict[str, Any] = {
    "status": "draft",
    "content_hash": "h",
    "fields": {"plan.a": {"value": "old", "fver": 3}},
    "points": {"p": {"plan": {"product_id": "x", "dose": "4", "unit": "U"}, "fver": {"dose": 2}}},
    "conflicts": {},
    "notes": {},
}
LIMITS = ClientLimits(states_seconds=0.01)


def tablet_of(url: str, path: Path) -> Tablet:
    store = DeviceStore.open(path / "pia.db", subject="pia")
    return Tablet(url, "token", store, encoding="json", backoff=quick(), limits=LIMITS)


@asynccontextmanager
async def clinic(path: Path) -> AsyncIterator[tuple[Scripted, Tablet]]:
    async with scripted() as house, tablet_of(house.url, path) as tablet:
        yield house, tablet


def heard(tablet: Tablet) -> list[Notice]:
    notices: list[Notice] = []
    tablet.listen(notices.append)
    return notices


async def test_it_asks_for_what_the_endpoint_gives(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        hello = await (await house.line()).welcome()
        session = f"session/{derived_id('session', 'pia', tablet.device_id)}"
        assert [sub["ch"] for sub in hello["subs"]] == [session, "user/pia/rooms", MINE, BOARD]


async def test_edits_are_seen_at_once_and_sent_when_there_is_a_link(tmp_path: Path) -> None:
    async with scripted() as house:
        async with tablet_of(house.url, tmp_path) as tablet:
            line = await house.welcomed()
            await line.snapshot(BOARD, {ROOM: (4, HELD)})
            await line.snapshot(MINE, {DOC: (5, CHART)})
            await tablet.until(lambda one: one.state(DOC))
            await tablet.offline()
            room, chart = tablet.room("r1"), tablet.document("d1")
            room.set_status("roomed", patient_id="p1", visit_id="v1")
            chart.set_field("plan.a", "first")
            chart.set_field("plan.a", "second")
            note = chart.note("fine")
            assert room.state["status"] == "roomed"
            assert chart.state["fields"]["plan.a"]["value"] == "second"
            assert chart.state["notes"][note.args["note_id"]]["text"] == "fine"
            assert note.outcome is None
        async with tablet_of("ws://127.0.0.1:9/?location=l1", tmp_path) as tablet:
            assert tablet.room("r1").state["status"] == "roomed", "started again without a network"
            assert tablet.entities("document")[DOC]["fields"]["plan.a"]["value"] == "second"
            assert [edit.op for edit in tablet.edits()] == ["set_status", "set_field", "set_field", "append_note"]
        async with tablet_of(house.url, tmp_path) as tablet:
            line = await house.line()
            hello = await line.welcome()
            assert {sub["ch"]: sub["have"] for sub in hello["subs"]}[BOARD] == {ROOM: 4}
            commands = [await line.hear("command") for _ in range(4)]
            assert commands[0]["args"]["from"] == "held"
            assert [one.get("base_fver") for one in commands] == [None, 3, 3, None]
            assert [one["hlc"] for one in commands] == sorted(one["hlc"] for one in commands)
            for command in commands:
                await line.result(command, ver=9)
            await tablet.synced()
            assert not tablet.edits()
            assert tablet.document("d1").state["fields"]["plan.a"]["value"] == "second", "no flicker"


async def test_an_applied_edit_is_still_seen_after_a_restart_before_its_change(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(MINE, {DOC: (5, CHART)})
        await tablet.until(lambda one: one.state(DOC))
        edit = tablet.document("d1").set_field("plan.a", "mine")
        await line.result(await line.hear("command"), ver=6)
        assert (await edit.result()).ok
    async with clinic(tmp_path) as (house, tablet):
        assert tablet.state(DOC)["fields"]["plan.a"]["value"] == "mine"
        line = await house.welcomed()
        theirs = CHART | {"fields": {"plan.a": {"value": "theirs", "fver": 7}}}
        await line.snapshot(MINE, {DOC: (7, theirs)})
        await tablet.synced(confirmed=True)
        assert tablet.state(DOC) == theirs


async def test_a_refused_edit_is_gone_and_told_until_somebody_has_seen_it(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        notices = heard(tablet)
        line = await house.welcomed()
        await line.snapshot(MINE, {DOC: (5, CHART)})
        await tablet.until(lambda one: one.state(DOC))
        stale = tablet.document("d1").set_field("plan.a", "mine")
        bad = tablet.document("d1").strike_point("p", "wrong")
        await line.result(await line.hear("command"), "conflict", ver=6, conflict_id="c1", current="theirs")
        await line.result(
            await line.hear("command"), "rejected", code="invalid", quarantined="q1", errors=[{"path": "x"}]
        )
        conflict, rejected = await stale.result(), await bad.result()
        assert (conflict.conflict_id, conflict.current, conflict.ok) == ("c1", "theirs", False)
        assert (rejected.quarantined, rejected.code) == ("q1", "invalid")
        assert tablet.state(DOC) == CHART
        assert [one.edit for one in notices if isinstance(one, Refused)] == [stale, bad]
    async with clinic(tmp_path) as (_, tablet):
        first, second = tablet.unseen()
        assert (first.result.conflict_id, second.result.quarantined) == ("c1", "q1")
        assert first.edit.args == {"name": "plan.a", "value": "mine"}
        tablet.seen(first.key)
        assert [one.key for one in tablet.unseen()] == [second.key]


async def test_a_claims_token_goes_with_what_is_done_under_it(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(BOARD, {ROOM: (4, HELD)})
        await tablet.until(lambda one: one.state(ROOM))
        room = tablet.room("r1")
        claim = room.claim()
        assert room.state["claim_intent"]["by"] == "pia"
        await line.result(await line.hear("command"), ver=5, reply={"token": 7, "until": ""})
        assert (await claim.result()).reply["token"] == 7
        room.set_status("roomed")
        assert (await line.hear("command"))["args"]["token"] == 7
        claimed = HELD | {"claim": {"by": "pia", "device": tablet.device_id, "token": 8}}
        await line.say({"t": "change", "ch": BOARD, "ent": ROOM, "ver": 5, "hlc": "", "state": claimed})
        await tablet.until(lambda one: one.claim_token(ROOM) == 8)
        lost = HELD | {"claim": {"by": "quinn", "device": "", "token": 9}}
        await line.say({"t": "change", "ch": BOARD, "ent": ROOM, "ver": 6, "hlc": "", "state": lost})
        await tablet.until(lambda one: one.claim_token(ROOM) == 0)
        room.release()
        assert "token" not in (await line.hear("command"))["args"]


async def test_what_left_every_channel_is_not_shown_any_more(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(BOARD, {ROOM: (4, HELD)})
        await line.snapshot("user/pia/rooms", {ROOM: (4, HELD)})
        await tablet.until(lambda one: one.follow("user/pia/rooms").current)
        left = {"t": "change", "ent": ROOM, "ver": 5, "hlc": "", "state": HELD, "left": True}
        await line.say({**left, "ch": "user/pia/rooms"})
        await tablet.until(lambda one: one.screen.optimism.version(ROOM) == 5)
        assert tablet.state(ROOM) == HELD
        await line.say({**left, "ch": BOARD})
        await tablet.until(lambda one: one.state(ROOM) is None)
    async with clinic(tmp_path) as (_, tablet):
        assert tablet.entities("room") == {}


async def test_a_document_made_offline_is_followed_once_it_exists(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        notices = heard(tablet)
        line = await house.welcomed()
        chart = tablet.document()
        chart.create("o1", "l1", "p1", "toxin")
        chart.follow()
        assert chart.state["status"] == "draft"
        assert (await line.hear("subscribe"))["ch"] == chart.ent
        create = await line.hear("command")
        refused = {"t": "error", "ref": chart.ent, "code": "not_found", "temporary": False, "retry_after_ms": 0}
        await line.say({**refused, "of": "subscribe"})
        await line.say({"t": "ping", "n": 1})
        await line.hear("pong")
        await line.result(create, ver=1)
        assert (await line.hear("subscribe"))["ch"] == chart.ent
        await line.snapshot(chart.ent, {chart.ent: (1, CHART)})
        await tablet.synced(confirmed=True)
        assert chart.state == CHART
        assert not [one for one in notices if isinstance(one, Withdrawn)]


async def test_a_channel_that_is_not_shown_any_more_is_forgotten(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        notices = heard(tablet)
        line = await house.welcomed()
        await line.snapshot(BOARD, {ROOM: (4, HELD)})
        await tablet.until(lambda one: one.state(ROOM))
        await line.say(
            {
                "t": "error",
                "ref": BOARD,
                "code": "not_found",
                "temporary": False,
                "retry_after_ms": 0,
                "of": "subscribe",
            }
        )
        await tablet.until(lambda one: one.state(ROOM) is None)
        assert Withdrawn(BOARD, "not_found") in notices
    async with clinic(tmp_path) as (_, tablet):
        assert tablet.entities("room") == {}


@pytest.mark.parametrize(("code", "comes_back"), [(4014, True), (4503, False)])
async def test_states_that_may_not_be_shown_are_dropped_and_the_queue_is_kept(
    tmp_path: Path, code: int, comes_back: bool
) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(BOARD, {ROOM: (4, HELD)})
        await tablet.until(lambda one: one.state(ROOM))
        edit = tablet.room("r1").set_status("roomed")
        await line.hear("command")
        await line.close(code)
        await until(lambda: tablet.state(ROOM) is None, "nothing is shown")
        if comes_back:
            hello = await (await house.line()).welcome()
            assert all(not sub["have"] for sub in hello["subs"])
        else:
            with pytest.raises(LiveClosedError):
                await edit.result()
            with pytest.raises(LiveClosedError):
                await tablet.synced()
            tablet.online()
            line = await house.welcomed()
            waiting = asyncio.create_task(edit.result())
            await line.hear("command")
            assert not waiting.done()
            waiting.cancel()
        assert [one.op for one in tablet.edits()] == ["set_status"]
    async with clinic(tmp_path) as (_, tablet):
        assert tablet.entities("room") == {}
        assert [one.op for one in tablet.edits()] == ["set_status"]


async def test_an_edit_gets_its_result_under_its_new_number(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        first, second = tablet.room("r1").claim(), tablet.room("r1").release()
        await line.result(await line.hear("command"))
        await first.result()
        await line.close(4010)
        line = await house.welcomed()
        command = await line.hear("command")
        assert (command["op"], command["seq"], second.seq) == ("release", 1, 1)
        waiting = asyncio.create_task(second.result())
        await line.result(command, "rejected", code="taken", by="quinn")
        assert (await waiting).by == "quinn"
        assert [one.edit.op for one in tablet.unseen()] == ["release"]


async def test_only_what_is_confirmed_can_be_signed_and_the_proof_is_not_kept(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(MINE, {DOC: (5, CHART)})
        await tablet.until(lambda one: one.state(DOC))
        chart = tablet.document("d1")
        chart.set_field("plan.a", "mine")
        with pytest.raises(LiveRefusedError, match="content_unknown"):
            chart.sign("Pia", "author", "secret-token")
        by = {"device_id": tablet.device_id, "epoch": tablet.queue.epoch, "seq": 1}
        patch = {"fields": {"plan.a": {"value": "mine", "fver": 6}}, "content_hash": "h2"}
        command = await line.hear("command")
        await line.say({"t": "change", "ch": MINE, "ent": DOC, "ver": 6, "hlc": "", "patch": patch, "by": by})
        await line.result(command, ver=6)
        await tablet.synced(confirmed=True)
        signing = chart.sign("Pia", "author", "secret-token")
        command = await line.hear("command")
        assert (command["args"]["content_hash"], command["args"]["proof"]) == ("h2", "secret-token")
        await line.result(command, ver=7)
        await signing.result()
        assert "proof" not in [kept.body["args"] for kept in tablet.queue.kept()][-1]


async def test_planned_points_are_performed_as_planned(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(MINE, {DOC: (5, CHART)})
        await tablet.until(lambda one: one.state(DOC))
        edit = tablet.document("d1").perform("p", lot="L1", dose="5")
        assert edit.args == {"point_id": "p", "product_id": "x", "dose": "5", "unit": "U", "lot": "L1"}


async def test_notices_tell_what_happens(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        notices = tablet.notices()
        line = await house.welcomed()
        await line.snapshot(BOARD, {ROOM: (4, HELD)})
        found = [await anext(notices), await anext(notices)]
        assert found == [Linked(online=True), Changed(ROOM, 4, HELD)]
        line.drop()
        assert await anext(notices) == Linked(online=False, code=1006)


async def test_an_unfollowed_channel_stays_away(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        chart = tablet.document("d1")
        chart.follow()
        await line.snapshot(DOC, {DOC: (5, CHART)})
        await tablet.until(lambda one: one.state(DOC))
        chart.unfollow()
        assert (await line.hear("unsubscribe"))["ch"] == DOC
        assert chart.state is None
    async with clinic(tmp_path) as (house, _):
        hello = await (await house.line()).welcome()
        assert DOC not in [sub["ch"] for sub in hello["subs"]]


async def test_every_edit_is_a_command_with_its_arguments(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(MINE, {DOC: (5, CHART)})
        await line.snapshot(BOARD, {ROOM: (4, HELD | {"undo_version": 3})})
        await tablet.until(lambda one: one.state(DOC) and one.state(ROOM))
        chart, room, session = tablet.document("d1"), tablet.room("r1"), tablet.session
        edits = [
            room.undo(),
            room.take_over("called away"),
            chart.add_point("front", 0, 340, planned=True, dose="4", unit="U"),
            chart.set_point("p", lot=""),
            chart.open_container("v1", "x", "20", "U", single_dose=False),
            chart.waste("v1", "1", "U", "dropped"),
            chart.photo("front", "ab" * 32, "image/jpeg", 9, "2026-01-01T00:00:00Z"),
            chart.join(),
            chart.leave(),
            chart.resolve("c", {"dose": "4"}, "counted"),
            chart.ready(),
            chart.draft(),
            chart.reject_cosign("no"),
            chart.addendum("more", "late"),
            chart.enter_in_error("wrong patient"),
            session.enter("r1"),
            session.leave(),
            session.open_document("d1"),
            session.close_document("d1"),
            session.offer_hand_off("quinn"),
            session.withdraw_hand_off("o"),
            session.resolve("q", "discard", "seen"),
            session.sign_out(),
        ]
        for edit in edits:
            command = await line.hear("command")
            assert (command["ent"], command["op"], command["args"]) == (edit.ent, edit.op, edit.args)
        assert edits[0].args == {"version": 3}
        assert (edits[2].args["x"], edits[3].args) == (0, {"point_id": "p", "lot": ""})
        with pytest.raises(LiveRefusedError, match="not_undoable"):
            tablet.room("unknown").undo()


async def test_one_shows_oneself_on_a_channel(tmp_path: Path) -> None:
    async with clinic(tmp_path) as (house, tablet):
        line = await house.welcomed()
        await line.snapshot(BOARD, {})
        await until(lambda: tablet.follow(BOARD).current, "the board is there")
        tablet.presence(BOARD, {"room": "r1"})
        assert (await line.hear("presence"))["state"] == {"room": "r1"}

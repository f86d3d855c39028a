"""Boards and tablets on real sockets: every change reaches them, offline edits are applied or told as conflicts."""

from typing import Any

import pytest

from domain.ids import new_id
from realtime.client.encoding import Encoding
from realtime.client.errors import LiveRefusedError
from realtime.client.queue import MemoryQueue
from services.locations import Room
from tests.conditions import until
from tests.serve.clinic import OTHER_CLINIC
from tests.serve.sockets import Tablets
from tests.serve.test_rooms import FRED, OLGA, PIA, QUINN


class Kept(MemoryQueue):
    """A queue that outlives its client and keeps the results."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[int, dict[str, Any]] = {}

    def resolve(self, seq: int, result: dict[str, Any]) -> None:
        super().resolve(seq, result)
        self.results[seq] = result


def set_status(to: str, **args: Any) -> tuple[str, dict[str, Any]]:
    return "set_status", {"to": to, **args}


ROOMED = {"patient_id": "p-1", "visit_id": "v-1"}


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_board_follows_its_location_by_itself(tablets: Tablets, encoding: Encoding) -> None:
    async with tablets.client(FRED, "front_desk", encoding=encoding) as board, tablets.client(PIA) as tablet:
        seen = board.follow(tablets.group)
        await seen.until(lambda one: one.current and tablets.ent in one.entities)
        assert seen.state(tablets.ent)["status"] == "available"
        for op, args in (set_status("held"), set_status("roomed", **ROOMED), set_status("in_treatment")):
            assert (await tablet.command(tablets.ent, op, args)).status == "applied"
        await seen.until(lambda one: one.state(tablets.ent)["status"] == "in_treatment")
        assert seen.state(tablets.ent) == await tablets.server_state()
        assert board.stats.gaps == 0


async def test_a_room_made_later_comes_to_the_board(tablets: Tablets) -> None:
    async with tablets.client(FRED, "front_desk") as board:
        seen = await board.subscribe(tablets.group)
        later = f"room/{await tablets.clinic.add_room('Room 2')}"
        await seen.until(lambda one: later in one.entities)
        assert seen.state(later)["name"] == "Room 2"


async def test_a_room_that_has_only_its_row_does_not_hide_the_others_from_the_board(tablets: Tablets) -> None:
    store = tablets.clinic.house.gateway.location_store
    lost = Room(id=new_id(), location_id=tablets.clinic.location, name="Lost")
    assert await store.add_room(lost)
    async with tablets.client(FRED, "front_desk") as board:
        seen = await board.subscribe(tablets.group)
        assert set(seen.entities) == {tablets.ent}
        await tablets.clinic.send("GET", f"/rooms/{lost.id}", tablets.clinic.desk)
        await seen.until(lambda one: f"room/{lost.id}" in one.entities)


async def test_two_tablets_that_were_offline_converge_and_the_late_one_learns_of_the_conflict(tablets: Tablets) -> None:
    queues = {PIA: Kept(), QUINN: Kept()}
    for subject, queue in queues.items():
        async with tablets.client(subject, queue=queue) as tablet:
            await tablet.subscribe(tablets.group)
    ways = {
        PIA: [
            set_status("held", **{"from": "available"}),
            set_status("roomed", **{"from": "held"}, **ROOMED),
            set_status("in_treatment", **{"from": "roomed"}),
        ],
        QUINN: [
            set_status("held", **{"from": "available"}),
            set_status("available", **{"from": "held"}),
            set_status("held", **{"from": "available"}),
        ],
    }
    for subject, way in ways.items():
        for op, args in way:
            queues[subject].append({"ent": tablets.ent, "op": op, "args": args})
    async with tablets.client(FRED, "front_desk") as board:
        watching = await board.subscribe(tablets.group)
        for subject, queue in queues.items():
            async with tablets.client(subject, queue=queue) as tablet:
                seen = await tablet.subscribe(tablets.group)
                await until(lambda queue=queue: len(queue.results) == 3, "every queued command has its result")
                version = (await tablets.server_state())["version"]
                await seen.until(lambda one, version=version: one.entities[tablets.ent].version == version)
        await watching.until(lambda one: one.entities[tablets.ent].version == version)
        final = await tablets.server_state()
        assert watching.state(tablets.ent) == seen.state(tablets.ent) == final
    assert [result["status"] for result in queues[PIA].results.values()] == ["applied"] * 3
    late = queues[QUINN].results.values()
    assert [(result["status"], result.get("current")) for result in late] == [("conflict", "in_treatment")] * 3
    assert (final["status"], final["patient_id"]) == ("in_treatment", "p-1")


async def test_a_tablet_that_was_taken_over_from_is_fenced(tablets: Tablets) -> None:
    async with tablets.client(PIA) as first, tablets.client(QUINN) as second:
        for op, args in (set_status("held"), set_status("roomed", **ROOMED)):
            await first.command(tablets.ent, op, args)
        assert (await first.command(tablets.ent, "claim")).reply["token"] == 1
        taken = await second.command(tablets.ent, "claim")
        assert (taken.status, taken.code) == ("rejected", "taken")
        assert (await second.command(tablets.ent, "take_over", {"reason": "shift change"})).reply["token"] == 2
        fenced = await first.command(tablets.ent, *set_status("in_treatment", token=1))
        assert (fenced.status, fenced.code, fenced.current) == ("rejected", "fenced", "roomed")
        moved = await second.command(tablets.ent, *set_status("in_treatment", token=2))
        assert moved.status == "applied"
        assert (await second.command(tablets.ent, "release", {"token": 2})).ok
        version = (await tablets.server_state())["undo_version"]
        assert (await second.command(tablets.ent, "undo", {"version": version})).ok
        assert (await tablets.server_state())["status"] == "roomed"


async def test_the_board_of_another_clinic_or_of_none_is_unknown(tablets: Tablets) -> None:
    stranger = {"organization": OTHER_CLINIC}
    async with tablets.client(OLGA, **stranger) as board:
        with pytest.raises(LiveRefusedError, match="not_found"):
            await board.subscribe(tablets.group)
        with pytest.raises(LiveRefusedError, match="not_found"):
            await board.subscribe(tablets.ent)
    async with tablets.client(FRED, "front_desk", url=tablets.url("nonsense")) as board:
        with pytest.raises(LiveRefusedError, match="not_found"):
            await board.subscribe(tablets.group)
    async with tablets.client(OLGA, url=tablets.url(path="/api/v1/live"), **stranger) as other:
        with pytest.raises(LiveRefusedError, match="not_found"):
            await other.subscribe(tablets.group)


async def test_a_command_to_a_room_of_another_clinic_is_forbidden_like_one_to_no_room(tablets: Tablets) -> None:
    async with tablets.client(OLGA, organization=OTHER_CLINIC) as tablet:
        for ent in (tablets.ent, f"room/{new_id()}"):
            result = await tablet.command(ent, *set_status("held"))
            assert (result.status, result.code) == ("rejected", "forbidden")
    assert (await tablets.server_state())["status"] == "available"


async def test_only_rooms_are_spoken_to_at_a_board_and_only_as_devices_may(tablets: Tablets) -> None:
    async with tablets.client(PIA) as tablet:
        assert (await tablet.command(f"cart/{new_id()}", "clear")).code == "not_found"
        for op in ("create", "describe", "nonsense"):
            result = await tablet.command(tablets.ent, op, {"name": "Mine"})
            assert (result.status, result.code) == ("rejected", "unknown_operation")
        wrong = await tablet.command(tablets.ent, *set_status("waiting", waiting_for="lunch"))
        assert (wrong.status, wrong.errors[0]["path"]) == ("rejected", "waiting_for")


async def test_rooms_are_followed_at_the_live_endpoint_too(tablets: Tablets) -> None:
    async with tablets.client(PIA, url=tablets.url(path="/api/live")) as tablet:
        seen = await tablet.subscribe(tablets.ent)
        assert (await tablet.command(tablets.ent, *set_status("held"))).ok
        await seen.until(lambda one: one.state()["status"] == "held")

"""Rooms that come to a group and leave it, on real sockets: the board of a location, and the rooms one holds."""

import pytest

from realtime.client.errors import LiveRefusedError
from tests.serve.sockets import Tablets
from tests.serve.test_rooms import PIA, QUINN

LIVE = "/api/v1/live"


async def test_a_closed_room_leaves_the_board(tablets: Tablets) -> None:
    desk = tablets.clinic
    async with tablets.client(PIA) as tablet:
        board = await tablet.subscribe(tablets.group)
        assert tablets.ent in board.entities
        await desk.send("DELETE", f"/locations/{desk.location}/rooms/{desk.room}", desk.admin)
        async for update in board:
            if update.what == "left":
                assert (update.ent, update.state["status"]) == (tablets.ent, "closed")
                break
        assert board.entities == {}


async def test_the_rooms_one_holds_come_with_the_claim_and_go_with_it(tablets: Tablets) -> None:
    desk = tablets.clinic
    await desk.room_patient()
    async with tablets.client(PIA, url=tablets.url(path=LIVE)) as tablet:
        held = await tablet.subscribe(f"user/{PIA}/rooms")
        assert held.entities == {}
        await desk.send("POST", f"/rooms/{desk.room}/claim", desk.provider)
        await held.until(lambda one: tablets.ent in one.entities)
        assert held.state(tablets.ent)["claim"]["by"] == PIA
        await desk.send("POST", f"/rooms/{desk.room}/take-over", desk.second, {"reason": "shift change"})
        await held.until(lambda one: tablets.ent not in one.entities)
    async with tablets.client(QUINN, url=tablets.url(path=LIVE)) as tablet:
        held = await tablet.subscribe(f"user/{QUINN}/rooms")
        assert set(held.entities) == {tablets.ent}


async def test_nobody_follows_the_rooms_that_another_holds(tablets: Tablets) -> None:
    async with tablets.client(QUINN, url=tablets.url(path=LIVE)) as tablet:
        with pytest.raises(LiveRefusedError, match="not_found"):
            await tablet.subscribe(f"user/{PIA}/rooms")

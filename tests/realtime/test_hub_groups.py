"""Group channels: sets of entities that change."""

import msgspec
import pytest

from realtime.limits import DEFAULTS
from tests.realtime.entities import ref
from tests.realtime.fakes import ORDER, House, settle
from tests.realtime.subscribing import BOARD, subscribed


async def test_a_group_is_a_changing_set_of_entities_each_with_its_own_version() -> None:
    async with House() as house:
        for number in range(3):
            house.entities.put(f"order/{number}", {"n": number}, groups=(BOARD,))
        wire, client = await subscribed(house, BOARD)
        assert set(client.views) == {"order/0", "order/1", "order/2"}
        house.entities.put("order/3", {"n": 3}, groups=(BOARD,))
        house.entities.put("order/3", {"n": 4})
        house.entities.put("order/0", {"n": 9})
        await settle()
        frames = wire.take()
        assert {frame["ch"] for frame in frames} == {BOARD}
        client.absorb(frames)
        assert client.versions == {"order/0": 2, "order/1": 1, "order/2": 1, "order/3": 2}


async def test_an_entity_that_moves_into_a_group_comes_with_its_whole_state() -> None:
    async with House() as house:
        wire, client = await subscribed(house, BOARD)
        house.entities.put(ORDER, {"n": 1, "keep": True})
        house.entities.put(ORDER, {"n": 2, "keep": True}, groups=(BOARD,))
        await settle()
        assert client.absorb(wire.take()).views == {ORDER: {"n": 2, "keep": True}}


async def test_members_beyond_the_bound_are_read_again_when_they_change() -> None:
    limits = msgspec.structs.replace(DEFAULTS, group_members_max=2)
    async with House(limits) as house:
        wire, client = await subscribed(house, BOARD)
        for number in range(5):
            house.entities.put(f"order/{number}", {"n": number}, groups=(BOARD,))
        house.entities.put("order/0", {"n": 77})
        await settle()
        client.absorb(wire.take())
        assert client.versions["order/0"] == 2
        assert len(house.hub.table.feeds) == 2


async def test_an_entity_watched_by_itself_that_moves_into_a_group_is_told_there_as_a_whole() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1, "keep": True})
        board, seen_on_board = await subscribed(house, BOARD)
        own, seen = await subscribed(house, ORDER)
        house.entities.put(ORDER, {"n": 2, "keep": True}, groups=(BOARD,))
        house.entities.put(ORDER, {"n": 3, "keep": True})
        await settle()
        assert seen_on_board.absorb(board.take()).views == {ORDER: {"n": 3, "keep": True}}
        assert seen.absorb(own.take()).views == {ORDER: {"n": 3, "keep": True}}


@pytest.mark.parametrize("found_by", ["another subscriber", "catching up"])
async def test_a_member_that_was_missed_is_told_to_all_once_it_is_found(found_by: str) -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1})
        await subscribed(house, ORDER)
        board, seen = await subscribed(house, BOARD)
        house.entities.groups_of[ref(ORDER)] = (BOARD,)
        if found_by == "another subscriber":
            _, seen_second = await subscribed(house, BOARD, token="bob")
            assert seen_second.views == {ORDER: {"n": 1}}
        else:
            house.entities.on_reconnect()
            await settle()
        house.entities.put(ORDER, {"n": 2})
        await settle()
        assert seen.absorb(board.take()).views == {ORDER: {"n": 2}}


async def test_a_late_member_of_a_group_is_new_to_those_who_came_before_it() -> None:
    async with House() as house:
        board, seen = await subscribed(house, BOARD)
        house.entities.deaf = True
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        house.entities.deaf = False
        await subscribed(house, BOARD, token="bob")
        house.entities.put(ORDER, {"n": 2})
        await settle()
        assert seen.absorb(board.take()).views == {ORDER: {"n": 2}}

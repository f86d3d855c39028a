"""Groups of one person: what that person took part in goes only to those of their connections that may see it now."""

from tests.realtime.entities import ref
from tests.realtime.fakes import ORDER, House, settle
from tests.realtime.subscribing import subscribed

MINE = "user/pia/documents"
BOARD = "merchant/m1/orders"


def hide(house: House, subject: str) -> None:
    """As after a change of roles: of two tokens of one person, this one shows nothing of it."""
    house.entities.hidden.add((subject, ref(ORDER)))


async def test_who_may_not_see_a_member_any_more_hears_nothing_of_it() -> None:
    async with House() as house:
        hide(house, "left-the-clinic")
        house.entities.put(ORDER, {"n": 1}, groups=(MINE, BOARD))
        board, _ = await subscribed(house, BOARD, token="quinn")
        old, seen = await subscribed(house, MINE, token="left-the-clinic")
        now, _ = await subscribed(house, MINE, token="pia")
        for turn in (2, 3):
            house.entities.put(ORDER, {"n": turn}, groups=(MINE, BOARD))
            await settle(60)
        house.entities.put(ORDER, {"n": 4}, groups=(BOARD,))
        await settle(60)
        assert seen.views == {}
        assert old.take("change", "snapshot") == []
        assert [frame["ver"] for frame in now.take("change")] == [2, 3, 4]
        assert [frame["ver"] for frame in board.take("change")] == [2, 3, 4]


async def test_a_new_member_is_read_in_the_name_of_each_who_gets_it() -> None:
    async with House() as house:
        hide(house, "left-the-clinic")
        old, _ = await subscribed(house, MINE, token="left-the-clinic")
        now, seen = await subscribed(house, MINE, token="pia")
        house.entities.put(ORDER, {"n": 1}, groups=(MINE,))
        house.entities.put(ORDER, {"n": 2}, groups=(MINE,))
        await settle(60)
        house.entities.put(ORDER, {"n": 3}, groups=(MINE,))
        await settle(60)
        assert seen.absorb(now.take()).views == {ORDER: {"n": 3}}
        assert old.take("change", "snapshot") == []


async def test_what_one_connection_may_not_see_the_other_keeps_through_a_gap_and_a_comparison() -> None:
    async with House() as house:
        hide(house, "left-the-clinic")
        house.entities.put(ORDER, {"n": 1}, groups=(MINE,))
        old, _ = await subscribed(house, MINE, token="left-the-clinic")
        now, seen = await subscribed(house, MINE, token="pia")
        house.entities.deaf = True
        house.entities.put(ORDER, {"n": 2}, groups=(MINE,))
        house.entities.deaf = False
        house.entities.put(ORDER, {"n": 3}, groups=(MINE,))
        await settle(60)
        assert seen.absorb(now.take()).views == {ORDER: {"n": 3}}
        for _ in range(4):
            house.hub.renew_all()
            await settle(60)
        house.entities.put(ORDER, {"n": 4}, groups=(MINE,))
        await settle(60)
        assert seen.absorb(now.take()).views == {ORDER: {"n": 4}}
        assert old.take("change", "snapshot") == []


async def test_a_member_that_could_not_be_read_comes_with_its_next_change() -> None:
    async with House() as house:
        now, seen = await subscribed(house, MINE, token="pia")
        hide(house, "pia")
        house.entities.put(ORDER, {"n": 1}, groups=(MINE,))
        await settle(60)
        house.entities.hidden.clear()
        house.hub.renew_all()
        await settle(60)
        house.entities.put(ORDER, {"n": 2}, groups=(MINE,))
        await settle(60)
        assert seen.absorb(now.take()).views == {ORDER: {"n": 2}}

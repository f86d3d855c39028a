"""Entities that leave a group: their last word, what a resume learns of them, and how they come back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Unavailable
from realtime.limits import DEFAULTS
from tests.realtime.entities import ref
from tests.realtime.fakes import ORDER, Client, House, Wire, settle
from tests.realtime.subscribing import BOARD, subscribe, subscribed

PATIENT = msgspec.structs.replace(DEFAULTS, ping_seconds=1_000_000.0)
OTHER = "merchant/m2/orders"
OWN = "user/alice/documents"


async def test_the_change_with_which_an_entity_leaves_is_the_last_of_it_on_the_group() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        board, _ = await subscribed(house, BOARD)
        own, _ = await subscribed(house, ORDER)
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.put(ORDER, {"n": 3})
        await settle()
        (last,) = board.take()
        assert (last["ver"], last["patch"], last["left"]) == (2, {"n": 2}, True)
        assert [(frame["ver"], frame.get("left")) for frame in own.take()] == [(2, None), (3, None)]


async def test_a_follower_of_whole_states_gets_the_last_one() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1, "keep": True}, groups=(BOARD,))
        board, _ = await subscribed(house, BOARD, mode="state")
        house.entities.put(ORDER, {"n": 2, "keep": True}, groups=())
        await settle()
        (last,) = board.take()
        assert (last["state"], last["left"]) == ({"n": 2, "keep": True}, True)


async def test_what_comes_back_comes_whole() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1, "keep": True}, groups=(BOARD,))
        board, seen = await subscribed(house, BOARD)
        own, seen_itself = await subscribed(house, ORDER)
        for turn in (2, 3, 4, 5):
            house.entities.put(ORDER, {"n": turn, "keep": True}, groups=(BOARD,) if turn % 2 else ())
            await settle()
        assert seen.absorb(board.take()).views == {ORDER: {"n": 5, "keep": True}}
        assert seen_itself.absorb(own.take()).versions == {ORDER: 5}


async def test_from_one_group_to_another_it_leaves_the_one_and_comes_whole_to_the_other() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1, "keep": True}, groups=(BOARD,))
        board, seen = await subscribed(house, BOARD)
        other, seen_there = await subscribed(house, OTHER)
        house.entities.put(ORDER, {"n": 2, "keep": True}, groups=(OTHER,))
        await settle()
        house.entities.put(ORDER, {"n": 3, "keep": True})
        await settle()
        assert seen.absorb(board.take()).views == {}
        assert seen_there.absorb(other.take()).views == {ORDER: {"n": 3, "keep": True}}


async def test_leaving_is_told_also_of_what_the_gateway_has_forgotten() -> None:
    async with House(msgspec.structs.replace(DEFAULTS, group_members_max=2, group_listed_max=2)) as house:
        wire, client = await subscribed(house, BOARD)
        for number in range(5):
            house.entities.put(f"order/{number}", {"n": number}, groups=(BOARD,))
        house.entities.put("order/0", {"n": 77}, groups=())
        await settle()
        client.absorb(wire.take())
        assert set(client.views) == {"order/1", "order/2", "order/3", "order/4"}


async def test_leaving_does_not_wait_for_a_resynchronization() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        board, seen = await subscribed(house, BOARD)
        own, seen_itself = await subscribed(house, ORDER)
        house.entities.deaf = True
        house.entities.put(ORDER, {"n": 2})
        house.entities.deaf = False
        house.entities.hold_reads = True
        house.entities.put(ORDER, {"n": 3}, groups=())
        await settle()
        assert seen.absorb(board.take()).views == {}
        house.entities.hold_reads = False
        house.entities.release()
        await settle()
        assert seen_itself.absorb(own.take()).views == {ORDER: {"n": 3}}
        assert board.take() == []


async def test_what_left_while_the_snapshot_was_read_is_not_in_it_for_long() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        for hold in ("hold_reads", "hold_answers"):
            setattr(house.entities, hold, True)
            wire, client = await subscribed(house, BOARD, token=hold)
            house.entities.put(ORDER, {"n": 2}, groups=())
            await settle()
            setattr(house.entities, hold, False)
            house.entities.release()
            await settle()
            assert client.absorb(wire.take()).views == {}
            assert house.hub.table.feeds == {}
            house.entities.put(ORDER, {"n": 3}, groups=(BOARD,))
            await settle()
            assert client.absorb(wire.take()).views == {ORDER: {"n": 3}}


async def test_a_resume_names_what_has_gone_since() -> None:
    async with House() as house:
        for number in range(3):
            house.entities.put(f"order/{number}", {"n": number}, groups=(BOARD,))
        house.entities.put("order/1", {"n": 9}, groups=())
        have = {"order/0": 1, "order/1": 1, "order/9": 4}
        wire = await house.connect()
        wire.feed(subscribe(BOARD, have=have))
        await settle()
        snapshot = wire.take("snapshot")[-1]
        assert sorted(snapshot["gone"]) == ["order/1", "order/9"]
        assert [one["ent"] for one in snapshot["entities"]] == ["order/2"]


async def test_a_resume_with_everything_still_there_names_nothing() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire = await house.connect()
        wire.feed(subscribe(BOARD, have={ORDER: 1}))
        await settle()
        assert "gone" not in wire.take("snapshot")[-1]


async def test_a_list_that_is_full_proves_nobodys_absence() -> None:
    async with House(msgspec.structs.replace(DEFAULTS, group_listed_max=2)) as house:
        for number in range(2):
            house.entities.put(f"order/{number}", {"n": number}, groups=(BOARD,))
        wire = await house.connect()
        wire.feed(subscribe(BOARD, have={"order/7": 1}))
        await settle()
        assert "gone" not in wire.take("snapshot")[-1]


async def test_a_leave_that_was_missed_is_told_when_it_is_found_out() -> None:
    async with House(PATIENT) as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire, client = await subscribed(house, BOARD)
        house.entities.deaf = True
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.deaf = False
        await house.tick(DEFAULTS.group_catch_up_seconds + DEFAULTS.lease_seconds)
        frames = wire.take("change")
        assert client.absorb(frames).views == {}
        assert frames[-1]["left"] is True


async def test_a_leave_that_is_heard_after_a_later_state_was_read_is_told_all_the_same() -> None:
    async with House(PATIENT) as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        board, seen = await subscribed(house, BOARD)
        await subscribed(house, ORDER)
        house.entities.deaf = True
        leaving = house.entities.change(ORDER, 2, {"n": 2})
        leaving.left = (BOARD,)
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.put(ORDER, {"n": 3})
        await house.tick(DEFAULTS.lease_seconds / 3)
        assert seen.absorb(board.take()).versions == {ORDER: 3}
        house.entities.deaf = False
        house.entities.publish(leaving)
        await settle()
        assert seen.absorb(board.take()).views == {}


@pytest.mark.parametrize("missed", [False, True], ids=["heard late", "never heard"])
async def test_who_was_shown_what_it_became_after_it_left_is_told_that_it_left(missed: bool) -> None:
    async with House(PATIENT) as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        first, seen_first = await subscribed(house, BOARD)
        house.entities.deaf = house.entities.hold_reads = True
        second = await house.connect("bob")
        second.feed(subscribe(BOARD))
        await settle()
        leaving = house.entities.change(ORDER, 2, {"n": 2})
        leaving.left = (BOARD,)
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.put(ORDER, {"n": 3})
        house.entities.hold_reads = False
        house.entities.release()
        await settle()
        seen_second = Client().absorb(second.take())
        assert seen_second.versions == {ORDER: 3}
        house.entities.deaf = False
        if missed:
            await house.tick(DEFAULTS.group_catch_up_seconds + DEFAULTS.lease_seconds)
        else:
            house.entities.publish(leaving)
            await settle()
        assert seen_second.absorb(second.take()).views == {}
        assert seen_first.absorb(first.take()).views == {}


async def test_what_could_not_be_asked_for_when_it_came_to_a_personal_group_is_asked_for_again() -> None:
    async with House(PATIENT) as house:
        mine, seen = await subscribed(house, OWN)
        house.entities.failing = Unavailable("away")
        house.entities.put(ORDER, {"n": 1}, groups=(OWN,))
        await settle()
        house.entities.failing = None
        await house.tick(DEFAULTS.group_catch_up_seconds + DEFAULTS.lease_seconds)
        assert seen.absorb(mine.take()).versions == {ORDER: 1}


async def test_what_leaves_a_personal_group_while_it_is_asked_for_may_come_back() -> None:
    async with House(PATIENT) as house:
        mine, seen = await subscribed(house, OWN)
        house.entities.hold_reads = True
        house.entities.put(ORDER, {"n": 1}, groups=(OWN,))
        await settle()
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.hold_reads = False
        house.entities.release()
        await settle()
        house.entities.put(ORDER, {"n": 3}, groups=(OWN,))
        await settle()
        assert seen.absorb(mine.take()).versions == {ORDER: 3}


async def test_what_comes_back_while_the_members_are_compared_stays() -> None:
    async with House(PATIENT) as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire, client = await subscribed(house, BOARD)
        house.entities.deaf = True
        house.entities.put(ORDER, {"n": 2}, groups=())
        house.entities.deaf, house.entities.hold_reads = False, True
        house.hub.renew_all()
        await settle()
        house.entities.put(ORDER, {"n": 3}, groups=(BOARD,))
        house.entities.hold_reads = False
        house.entities.release()
        await settle()
        assert client.absorb(wire.take()).views == {ORDER: {"n": 3}}


async def test_a_slow_consumer_is_not_told_the_newest_state_of_what_has_left() -> None:
    limits = msgspec.structs.replace(DEFAULTS, outbound_bytes_max=2_000)
    async with House(limits) as house:
        house.entities.put(ORDER, {"n": 0}, groups=(BOARD,))
        wire, client = await subscribed(house, BOARD, mode="state")
        wire.stick()
        for number in range(1, 30):
            house.entities.put(ORDER, {"n": number, "fill": "x" * 100})
            await settle()
        house.entities.put(ORDER, {"n": 30}, groups=())
        await settle()
        wire.flow()
        await settle()
        assert wire.closed is None
        assert client.absorb(wire.take("change")).views == {}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2), st.sampled_from([(), (BOARD,), (OTHER,), (BOARD, OTHER)])),
        st.tuples(st.just("touch"), st.integers(0, 2), st.none()),
        st.tuples(st.just("deaf"), st.booleans(), st.none()),
        st.tuples(st.just("hold"), st.sampled_from(["hold_reads", "hold_answers"]), st.booleans()),
        st.tuples(st.just("follow"), st.integers(0, 2), st.sampled_from([BOARD, OTHER])),
        st.tuples(st.just("resume"), st.integers(0, 2), st.sampled_from([BOARD, OTHER])),
        st.tuples(st.just("settle"), st.none(), st.none()),
        st.tuples(st.just("doubt"), st.none(), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
async def test_whatever_happens_a_group_ends_with_exactly_its_members(steps: list[tuple[str, Any, Any]]) -> None:
    async with House(PATIENT) as house:
        entities = house.entities
        followers: list[tuple[str, Wire, Client]] = []

        def absorb() -> None:
            for channel, wire, client in followers:
                client.absorb([frame for frame in wire.take() if frame.get("ch") == channel])

        for turn, (what, one, other) in enumerate(steps):
            match what:
                case "put":
                    entities.put(f"order/{one}", {"n": turn, "keep": one}, groups=other)
                case "touch" if ref(f"order/{one}") in entities.views:
                    entities.put(f"order/{one}", {"n": turn, "keep": one})
                case "deaf":
                    entities.deaf = one
                case "hold":
                    setattr(entities, one, other)
                    entities.release()
                case "follow":
                    wire = await house.connect(f"user-{turn}")
                    wire.feed(subscribe(other, mode="state" if one == 0 else "patch"))
                    followers.append((other, wire, Client()))
                case "resume" if followers:
                    channel, wire, client = followers[one % len(followers)]
                    await settle()
                    absorb()
                    wire.feed({"t": "unsubscribe", "ch": channel}, subscribe(channel, have=dict(client.versions)))
                case "doubt":
                    house.hub.renew_all()
                case _:
                    await settle()
                    absorb()
        entities.deaf = entities.hold_reads = entities.hold_answers = False
        entities.release()
        await settle(60)
        await house.tick(DEFAULTS.group_catch_up_seconds + DEFAULTS.lease_seconds)
        absorb()
        for channel, wire, client in followers:
            assert wire.closed is None
            expected = {
                f"{kind}/{id_}": entities.views[kind, id_][-1]
                for (kind, id_), groups in entities.groups_of.items()
                if channel in groups
            }
            assert client.views == expected

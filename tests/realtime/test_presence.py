"""Presence: who is on a channel, over several gateways."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.entity import Actor
from realtime.channels import shows_presence
from realtime.codec import MSGPACK
from realtime.limits import DEFAULTS
from tests.realtime.presences import ROOM, Tablet, Town

POINTS = {"section": "points", "editing": True}


async def test_who_comes_is_told_who_is_there_and_those_are_told_who_came() -> None:
    async with Town() as town:
        ann = await town.enter(0, "ann")
        assert ann.frames == [], "nobody is there"
        await town.show(0, ann, POINTS)
        await town.pass_time(1)
        ben = await town.enter(0, "ben")
        assert ben.shown() == {"ann": POINTS}
        await town.show(0, ben, {"section": "notes"})
        await town.pass_time(1)
        assert ann.shown() == ben.shown() == {"ann": POINTS, "ben": {"section": "notes"}}
        assert ann.people["ben"] == {
            "id": "ben",
            "subject": "user-ben",
            "device_id": "d",
            "since": ann.people["ben"]["since"],
            "state": {"section": "notes"},
        }


async def test_a_connection_that_shows_nothing_is_not_there() -> None:
    async with Town() as town:
        ann, _ = await town.enter(0, "ann"), await town.enter(0, "board")
        await town.pass_time(1)
        assert ann.people == {}


async def test_people_of_other_gateways_are_there_too_whoever_came_first() -> None:
    async with Town(3) as town:
        ann = await town.enter(0, "ann")
        await town.show(0, ann, POINTS)
        ben = await town.enter(1, "ben")
        await town.show(1, ben, {"section": "notes"})
        board = await town.enter(2, "board")
        await town.pass_time(1)
        assert ann.shown() == ben.shown() == board.shown() == {"ann": POINTS, "ben": {"section": "notes"}}


async def test_an_update_keeps_since_and_an_empty_state_takes_it_back() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        await town.show(0, ann, POINTS)
        await town.pass_time(1)
        since = ben.people["ann"]["since"]
        await town.show(0, ann, {"section": "notes"})
        await town.pass_time(1)
        assert ben.people["ann"] == ben.people["ann"] | {"since": since, "state": {"section": "notes"}}
        assert [list(frame) for frame in ben.frames] == [["t", "ch", "joins"], ["t", "ch", "updates"]]
        await town.show(0, ann, {})
        await town.pass_time(1)
        assert ann.people == ben.people == {}


async def test_who_leaves_is_gone_everywhere_at_once_also_as_the_last_of_its_gateway() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        await town.show(0, ann, POINTS)
        await town.pass_time(1)
        town.gateways[0].leave(ann, ROOM)
        await town.pass_time(0.5)
        assert ben.people == {}
        assert town.gateways[0].channels == {}


async def test_the_people_of_a_killed_gateway_are_gone_when_their_lease_ends() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        await town.show(0, ann, POINTS)
        await town.show(1, ben, POINTS)
        await town.pass_time(60)
        assert set(ben.people) == {"ann", "ben"}, "the lease is renewed"
        town.kill(0)
        await town.pass_time(DEFAULTS.presence_seconds / 2)
        assert set(ben.people) == {"ann", "ben"}
        await town.pass_time(DEFAULTS.presence_seconds / 2 + 1)
        assert set(ben.people) == {"ben"}


async def test_a_gateway_that_stops_takes_its_people_along() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        await town.show(0, ann, POINTS)
        await town.pass_time(1)
        assert set(ben.people) == {"ann"}
        await town.gateways[0].stop()
        await town.pass_time(1)
        assert ben.people == {}


async def test_without_redis_a_gateways_own_people_see_each_other_and_the_others_come_back_with_it() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        await town.show(1, ben, POINTS)
        await town.pass_time(1)
        town.bus.away = True
        await town.pass_time(DEFAULTS.presence_seconds + 1)
        cat = await town.enter(0, "cat")
        await town.show(0, cat, POINTS)
        await town.pass_time(1)
        assert set(ann.people) == set(cat.people) == {"cat"}
        town.bus.back()
        await town.pass_time(1)
        assert set(ann.people) == set(ben.people) == set(cat.people) == {"ben", "cat"}


async def test_what_was_lost_on_the_way_is_made_good_by_the_next_repetition() -> None:
    async with Town() as town:
        ann, ben = await town.enter(0, "ann"), await town.enter(1, "ben")
        cat = await town.enter(0, "cat")
        await town.show(0, cat, POINTS)
        await town.pass_time(1)
        town.bus.dropping = lambda: True
        await town.show(0, ann, POINTS)
        await town.show(0, cat, {})
        await town.pass_time(1)
        town.bus.dropping = lambda: False
        assert set(ben.people) == {"cat"}
        await town.pass_time(DEFAULTS.presence_seconds / 3)
        assert set(ben.people) == {"ann"}


async def test_a_channel_tells_its_subscribers_five_times_a_second_at_most() -> None:
    async with Town() as town:
        board = await town.enter(0, "board")
        tablets = [await town.enter(0, f"t{number}") for number in range(20)]
        await town.pass_time(1)
        for tablet in tablets:
            await town.show(0, tablet, POINTS)
        assert len(board.frames) == 1
        await town.pass_time(1)
        assert len(board.frames) == 2
        assert len(board.people) == 20
        assert len([one for one in town.bus.published if b"points" in one[1]]) == 2, "nor the other gateways"


async def test_who_shows_too_often_is_refused_for_a_moment() -> None:
    async with Town() as town:
        ann = await town.enter(0, "ann")
        for turn in range(int(DEFAULTS.presence_burst)):
            assert await town.show(0, ann, {"turn": turn}) is None
        refused = await town.show(0, ann, {"turn": -1})
        assert refused == {
            "t": "error",
            "ref": ROOM,
            "code": "rate",
            "temporary": True,
            "retry_after_ms": refused["retry_after_ms"],
            "of": "presence",
        }
        town.now += refused["retry_after_ms"] / 1000
        assert await town.show(0, ann, {"turn": 99}) is None
        await town.pass_time(1)
        assert ann.shown() == {"ann": {"turn": 99}}


@pytest.mark.parametrize(
    "state",
    [{"note": "x" * 1_024}, {"n": 10**30}, {"when": msgspec.msgpack.Ext(1, b"")}],
    ids=["too large", "no such number", "no such type"],
)
async def test_what_cannot_be_shown_is_refused_for_good(state: dict[str, object]) -> None:
    async with Town() as town:
        ann = await town.enter(0, "ann")
        refused = await town.show(0, ann, state)
        assert refused is not None
        assert (refused["code"], refused["temporary"]) == ("presence_invalid", False)
        assert ann.people == {}


async def test_only_a_subscriber_can_show_itself() -> None:
    async with Town() as town:
        refused = await town.show(0, Tablet("ann"), POINTS)
        assert refused is not None
        assert refused["code"] == "not_subscribed"


async def test_a_full_channel_takes_no_more_people_but_lets_those_who_are_there_change() -> None:
    async with Town(1, msgspec.structs.replace(DEFAULTS, presence_people_max=2)) as town:
        tablets = [await town.enter(0, name) for name in ("ann", "ben", "cat")]
        answers = [await town.show(0, tablet, POINTS) for tablet in tablets]
        assert [answer and answer["code"] for answer in answers] == [None, None, "presence_full"]
        assert await town.show(0, tablets[0], {"section": "notes"}) is None


async def test_a_gateway_listens_only_where_it_has_subscribers() -> None:
    async with Town(1) as town:
        assert town.bus.channels() == set()
        names = [f"room/{number}" for number in range(200)]
        tablets = [await town.enter(0, name, channel=name) for name in names]
        assert len(town.bus.channels()) <= DEFAULTS.presence_lanes
        for tablet in tablets:
            town.gateways[0].leave(tablet, tablet.name)
        await town.pass_time(DEFAULTS.unwatch_linger_seconds + 1)
        assert town.bus.channels() == set()
        await town.enter(0, "room/1", channel="room/1")
        assert len(town.bus.channels()) == 1


async def test_a_frame_is_encoded_once_for_all_of_one_encoding() -> None:
    async with Town(1) as town:
        raw: list[bytes] = []

        class Board(Tablet):
            def deliver(self, frame: bytes, key: object) -> None:
                raw.append(frame)

        for number in range(3):
            town.gateways[0].enter(Board(f"b{number}", MSGPACK), ROOM)
        ann = await town.enter(0, "ann")
        await town.show(0, ann, POINTS)
        assert len(raw) == 3
        assert len({id(frame) for frame in raw}) == 1
        assert msgspec.msgpack.decode(raw[0])["joins"][0]["state"] == POINTS


async def test_noise_on_the_bus_is_ignored() -> None:
    async with Town(1) as town:
        ann = await town.enter(0, "ann")
        (channel,) = town.bus.channels()
        town.bus.publish(channel, b"\xc1")
        await town.show(0, ann, POINTS)
        assert set(ann.people) == {"ann"}


@pytest.mark.parametrize(
    ("channel", "roles", "narrowed", "allowed"),
    [
        (ROOM, ("provider",), False, True),
        ("location/l1/rooms", ("front_desk", "customer"), False, True),
        ("order/1", ("provider",), False, False),
        ("cart/1", ("merchant_staff",), False, False),
        (ROOM, ("customer",), False, False),
        (ROOM, (), False, False),
        (ROOM, ("provider",), True, False),
    ],
)
def test_presence_is_for_staff_around_clinical_things(
    channel: str, roles: tuple[str, ...], narrowed: bool, allowed: bool
) -> None:
    assert shows_presence(channel, Actor("somebody", roles), narrowed=narrowed) is allowed


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("leave"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("show"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("hide"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("away"), st.just(0), st.just(0)),
        st.tuples(st.just("back"), st.just(0), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("lossy"), st.integers(0, 1), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, random=st.randoms(use_true_random=False))
async def test_after_quiet_every_gateway_shows_exactly_who_is_there(steps: list[tuple[str, int, int]], random) -> None:
    async with Town(3) as town:
        here: dict[tuple[int, int], Tablet] = {}
        showing: dict[tuple[int, int], dict[str, int]] = {}
        for turn, (what, gateway, number) in enumerate(steps):
            at = (gateway, number)
            match what:
                case "enter" if at not in here:
                    here[at] = await town.enter(gateway, f"{turn}")
                case "leave" if at in here:
                    town.gateways[gateway].leave(here.pop(at), ROOM)
                    showing.pop(at, None)
                case "show" if at in here:
                    if await town.show(gateway, here[at], {"turn": turn}) is None:
                        showing[at] = {"turn": turn}
                case "hide" if at in here:
                    if await town.show(gateway, here[at], {}) is None:
                        showing.pop(at, None)
                case "away":
                    town.bus.away = True
                case "back":
                    town.bus.back()
                case "time":
                    await town.pass_time(gateway / 4)
                case "lossy":
                    town.bus.dropping = (lambda: random.random() < 0.5) if gateway else (lambda: False)
        town.bus.dropping = lambda: False
        town.bus.away = False  # without a word: nobody was told that anything was missed
        await town.pass_time(DEFAULTS.presence_seconds + 2)
        expected = {here[at].name: state for at, state in showing.items()}
        for tablet in here.values():
            assert tablet.shown() == expected

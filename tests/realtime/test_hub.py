"""Subscriptions, changes and their races, from the socket's side: what a client sees is complete and in order."""

import msgspec
import pytest

from domain.errors import Unavailable
from realtime.codec import JSON, MSGPACK, Codec
from realtime.limits import DEFAULTS
from tests.realtime.fakes import CART, DEVICE, ORDER, Client, House, command, settle
from tests.realtime.subscribing import BOARD, subscribe, subscribed, while_reading


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
async def test_a_subscription_gets_the_snapshot_then_every_change(codec: Codec) -> None:
    async with House() as house:
        house.entities.put(CART, {"lines": {}})
        wire = await house.connect(codec=codec)
        wire.feed(subscribe(CART, 7))
        await settle()
        assert [(frame["t"], frame.get("id")) for frame in wire.sent] == [("subscribed", 7), ("snapshot", None)]
        client = Client().absorb(wire.take())
        house.entities.put(CART, {"lines": {"a": {"quantity": 1}}})
        house.entities.put(CART, {"lines": {"a": {"quantity": 2}}})
        await settle()
        changes = wire.take()
        assert [(frame["t"], frame["ver"]) for frame in changes] == [("change", 2), ("change", 3)]
        assert changes[1]["patch"] == {"lines": {"a": {"quantity": 2}}}
        assert client.absorb(changes).views[CART] == house.entities.view(CART)


async def test_a_resume_gets_only_what_is_newer() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        house.entities.put(ORDER, {"n": 1})
        subs = [{"ch": CART, "have": {CART: 1}}, {"ch": ORDER, "have": {ORDER: 0}}]
        wire = await house.connect(subs=subs)
        entities = {frame["ch"]: frame["entities"] for frame in wire.take("snapshot")}
        assert entities == {CART: [], ORDER: [{"ent": ORDER, "ver": 1, "state": {"n": 1}}]}
        house.entities.put(CART, {"n": 2})
        await settle()
        assert [frame["ver"] for frame in wire.take("change")] == [2]


async def test_a_version_from_the_future_is_answered_with_the_state_there_is() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire = await house.connect(subs=[{"ch": CART, "have": {CART: 99}}])
        assert wire.take("snapshot")[0]["entities"] == [{"ent": CART, "ver": 1, "state": {"n": 1}}]


async def test_a_change_between_registration_and_read_is_in_the_snapshot_once() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire = await house.connect()
        house.entities.hold_reads = True
        wire.feed(subscribe(CART))
        await settle()
        house.entities.put(CART, {"n": 2})
        house.entities.hold_reads = False
        house.entities.release()
        await settle()
        frames = wire.take()
        assert [frame["t"] for frame in frames] == ["subscribed", "snapshot"]
        assert house.hub.table.resyncs == 0
        assert Client().absorb(frames).views[CART] == {"n": 2}


async def test_a_change_between_read_and_snapshot_is_delivered_after_it() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire = await house.connect()
        house.entities.hold_answers = True
        wire.feed(subscribe(CART))
        await settle()
        house.entities.put(CART, {"n": 2})
        house.entities.put(CART, {"n": 3})
        house.entities.hold_answers = False
        house.entities.release()
        await settle()
        frames = wire.take()
        assert [frame["t"] for frame in frames] == ["subscribed", "snapshot", "change", "change"]
        assert Client().absorb(frames).views[CART] == {"n": 3}


async def test_what_changed_while_the_state_was_read_comes_as_a_state_to_whoever_wants_states() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1, "m": 1})
        wire = await house.connect()
        house.entities.hold_answers = True
        wire.feed(subscribe(CART, mode="state"))
        await settle()
        house.entities.put(CART, {"n": 2, "m": 1})
        house.entities.put(CART, {"n": 3, "m": 1})
        await settle()
        house.entities.hold_answers = False
        house.entities.release()
        await settle()
        assert [(one["ver"], one.get("state")) for one in wire.take("change")] == [
            (2, {"n": 2, "m": 1}),
            (3, {"n": 3, "m": 1}),
        ]


async def test_a_late_subscriber_who_read_ahead_of_the_bus_gets_nothing_twice() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        first, seen_first = await subscribed(house)
        house.entities.deaf = True
        house.entities.put(CART, {"n": 2})
        second, seen_second = await subscribed(house)
        house.entities.deaf = False
        house.entities.publish(house.entities.change(CART, 2, {"n": 2}))
        house.entities.put(CART, {"n": 3})
        await settle()
        assert [frame["ver"] for frame in first.sent] == [2, 3]
        assert [frame["ver"] for frame in second.sent] == [3]
        assert seen_first.absorb(first.take()).views == seen_second.absorb(second.take()).views


async def test_changes_delivered_twice_by_the_bus_are_delivered_once() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, _ = await subscribed(house)
        house.entities.put(CART, {"n": 2})
        house.entities.publish(house.entities.change(CART, 2, {"n": 2}), house.entities.change(CART, 1, {"n": 1}))
        await settle()
        assert [frame["ver"] for frame in wire.take("change")] == [2]


async def test_a_gap_is_filled_with_the_whole_state_and_goes_on_from_there() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, client = await subscribed(house)
        house.entities.deaf = True
        house.entities.put(CART, {"n": 2, "gone": True})
        house.entities.deaf = False
        house.entities.hold_answers = True
        house.entities.put(CART, {"n": 3})
        await settle()
        assert wire.take() == []
        house.entities.put(CART, {"n": 4})
        house.entities.hold_answers = False
        house.entities.release()
        await settle()
        frames = wire.take("change")
        assert [("state" in frame, frame["ver"]) for frame in frames] == [(True, 3), (False, 4)]
        assert client.absorb(frames).views[CART] == {"n": 4}
        assert house.hub.table.resyncs == 1


async def test_a_resynchronization_is_tried_until_the_host_answers() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, client = await subscribed(house)
        house.entities.deaf = True
        house.entities.put(CART, {"n": 2})
        house.entities.deaf = False
        house.entities.failing = Unavailable("no host")
        house.entities.put(CART, {"n": 3})
        await settle()
        assert wire.take() == []
        house.entities.failing = None
        await settle()
        assert client.absorb(wire.take()).views[CART] == {"n": 3}
        assert list(house.pauses)[:3] == [0.05, 0.1, 0.2]


@pytest.mark.parametrize("event", ["host", "bus", "garbage", "lease"])
async def test_what_was_missed_is_caught_up_after(event: str) -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire, client = await subscribed(house)
        wire.feed(subscribe(BOARD, 2))
        await settle()
        client.absorb(wire.take())
        house.entities.deaf = True
        house.entities.put(CART, {"n": 2})
        house.entities.put(ORDER, {"n": 2})
        house.entities.put("order/new", {"n": 1}, groups=(BOARD,))
        house.entities.deaf = False
        await settle()
        assert wire.take() == []
        match event:
            case "host":
                house.entities.replace_host()
            case "bus":
                house.entities.on_reconnect()
            case "garbage":
                house.entities.garble()
            case _:
                for _ in range(7):
                    await house.tick(10)
                    wire.feed({"t": "pong", "n": 1}, {"t": "pong", "n": 2})
        await settle()
        client.absorb(wire.take())
        assert client.views == {CART: {"n": 2}, ORDER: {"n": 2}, "order/new": {"n": 1}}
        house.entities.put(CART, {"n": 3})
        house.entities.put(ORDER, {"n": 3})
        await settle()
        client.absorb(wire.take())
        assert (client.views[CART], client.views[ORDER]) == ({"n": 3}, {"n": 3})


async def test_a_host_replaced_while_subscribing_is_watched_again() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire = await house.connect()
        house.entities.hold_answers = True
        wire.feed(subscribe(CART))
        await settle()
        house.entities.replace_host()
        house.entities.hold_answers = False
        house.entities.release()
        await settle()
        house.entities.put(CART, {"n": 2})
        await settle()
        assert Client().absorb(wire.take()).views[CART] == {"n": 2}


async def test_leases_are_renewed_at_a_third_and_given_back_after_a_while() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, _ = await subscribed(house)
        await house.tick(21)
        assert house.entities.log.count(f"watch {CART} alice 1") == 2
        wire.feed({"t": "unsubscribe", "ch": CART})
        await settle()
        await house.tick(4)
        assert house.entities.log[-1] != f"unwatch {CART}"
        await house.tick(2)
        assert house.entities.log[-1] == f"unwatch {CART}"
        assert not house.hub.table.channels
        assert not house.hub.table.feeds


async def test_a_subscriber_who_comes_back_in_time_finds_the_watch_in_place() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        first, _ = await subscribed(house)
        first.hang_up()
        await settle()
        second, client = await subscribed(house, have={CART: 1})
        await house.tick(10)
        assert f"unwatch {CART}" not in house.entities.log
        house.entities.put(CART, {"n": 2})
        await settle()
        assert [frame["ver"] for frame in second.take("change")] == [2]
        assert client.views == {}


async def test_an_unwatch_never_overtakes_the_watch_that_follows_it() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, _ = await subscribed(house)
        wire.feed({"t": "unsubscribe", "ch": CART})
        await settle()
        house.entities.hold_unwatch = True
        await house.tick(6)
        wire.feed(subscribe(CART))
        await settle()
        house.entities.hold_unwatch = False
        house.entities.release()
        await settle()
        house.entities.put(CART, {"n": 2})
        await settle()
        assert Client().absorb(wire.take()).views[CART] == {"n": 2}


@pytest.mark.parametrize("channel", [CART, BOARD])
async def test_what_is_not_yours_to_see_is_not_found_and_leaves_nothing_behind(channel: str) -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        house.entities.hidden |= {("bob", ("cart", CART[5:])), ("bob", ("group", BOARD))}
        wire = await house.connect("bob")
        wire.feed(subscribe(channel))
        await settle()
        (error,) = wire.take()
        assert (error["t"], error["ref"], error["code"], error["temporary"]) == ("error", 1, "not_found", False)
        assert not house.hub.table.channels
        house.entities.put(CART, {"n": 2})
        house.entities.put(ORDER, {"n": 2})
        await settle()
        assert wire.take() == []


async def test_a_host_that_is_away_makes_a_subscription_fail_for_now() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        house.entities.failing = Unavailable("no host", retry_after_ms=300)
        wire = await house.connect()
        wire.feed(subscribe(CART))
        await settle()
        (error,) = wire.take()
        assert (error["temporary"], error["retry_after_ms"]) == (True, 300)
        house.entities.failing = None
        wire.feed(subscribe(CART))
        await settle()
        assert wire.take("snapshot")


async def test_a_right_that_ends_ends_the_subscription_of_that_person_only() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        mine, _ = await subscribed(house)
        theirs, _ = await subscribed(house, token="bob")
        house.entities.hidden.add(("bob", ("cart", CART[5:])))
        await house.tick(21)
        (error,) = theirs.take("error")
        assert (error["ref"], error["code"], error["of"]) == (CART, "not_found", "subscribe")
        house.entities.put(CART, {"n": 2})
        await settle()
        assert theirs.take("change") == []
        assert len(mine.take("change")) == 1


async def test_one_entity_in_two_channels_is_told_in_both() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire, _ = await subscribed(house, BOARD)
        wire.feed(subscribe(ORDER, 2))
        await settle()
        wire.take()
        house.entities.put(ORDER, {"n": 2})
        await settle()
        assert {frame["ch"] for frame in wire.take("change")} == {BOARD, ORDER}


async def test_state_mode_sends_whole_states() -> None:
    async with House() as house:
        house.entities.put(CART, {"a": 1, "b": 1})
        wire, _ = await subscribed(house, mode="state", have={CART: 1})
        house.entities.put(CART, {"a": 1, "b": 2})
        await settle()
        (change,) = wire.take()
        assert change["state"] == {"a": 1, "b": 2}


async def test_signals_reach_those_who_watch() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"n": 1})
        wire, _ = await subscribed(house, ORDER)
        house.entities.signal(ORDER, "position", {"lat": 1.5})
        await settle()
        (signal,) = wire.take()
        assert (signal["t"], signal["ent"], signal["name"], signal["args"]) == (
            "signal",
            ORDER,
            "position",
            {"lat": 1.5},
        )


async def test_a_change_names_the_command_that_made_it() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        wire, _ = await subscribed(house)
        wire.feed(command(1))
        await settle()
        house.entities.put(CART, {"n": 2}, command_id=house.port.calls[0]["command_id"])
        await settle()
        assert wire.take("change")[0]["by"] == {"device_id": DEVICE, "epoch": 1, "seq": 1}


async def test_a_large_snapshot_comes_in_parts() -> None:
    async with House() as house:
        for number in range(7):
            house.entities.put(f"order/{number}", {"text": "x" * 100_000}, groups=(BOARD,))
        wire = await house.connect()
        wire.feed(subscribe(BOARD))
        await settle()
        parts = wire.take("snapshot")
        assert [part["part"] for part in parts] == list(range(len(parts)))
        assert [part["last"] for part in parts] == [False] * (len(parts) - 1) + [True]
        assert sum(len(part["entities"]) for part in parts) == 7
        assert max(wire.sizes) <= 256 * 1024 + 1_000


async def test_a_flood_while_subscribing_is_bounded_and_read_again() -> None:
    limits = msgspec.structs.replace(DEFAULTS, pending_changes_max=4)
    async with House(limits) as house:
        house.entities.put(CART, {"n": 1})
        async with while_reading(house) as wire:
            for n in range(2, 12):
                house.entities.put(CART, {"n": n})
        assert Client().absorb(wire.take()).views[CART] == {"n": 11}

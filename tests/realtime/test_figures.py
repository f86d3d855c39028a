"""What a gateway counts of its sockets and its hub is what goes on there."""

import msgspec

from realtime import codes
from realtime.channels import order_tracking
from realtime.figures import live_figures
from realtime.limits import DEFAULTS
from tests.realtime.fakes import CART, ORDER, House, settle
from tests.realtime.subscribing import BOARD, subscribe, subscribed, while_reading


async def test_channels_subscriptions_and_entities_are_counted_as_long_as_they_are_there() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        house.entities.put(ORDER, {"n": 1}, groups=(BOARD,))
        wire, _ = await subscribed(house)
        wire.feed(subscribe(BOARD, 2))
        await settle()
        await subscribed(house)
        found = live_figures(house.gateway)
        assert (found.entity_channels, found.group_channels, found.subscriptions) == (1, 1, 3)
        assert (found.entities, found.pending, found.resyncs, found.overflows) == (2, 0, 0, 0)


async def test_what_waits_while_a_state_is_read_is_pending() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        async with while_reading(house):
            for number in (2, 3, 4):
                house.entities.put(CART, {"n": number})
            assert live_figures(house.gateway).pending == 3
        assert live_figures(house.gateway).pending == 0


async def test_a_missing_version_is_one_resync() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        await subscribed(house)
        house.entities.deaf = True
        house.entities.put(CART, {"n": 2})
        house.entities.deaf = False
        house.entities.put(CART, {"n": 3})
        await settle()
        assert live_figures(house.gateway).resyncs == 1


async def test_sockets_that_ended_are_counted_by_their_code() -> None:
    async with House() as house:
        shut, gone = await house.connect(), await house.connect()
        shut.feed("nonsense")
        gone.hang_up()
        await settle()
        assert live_figures(house.gateway).closed == {codes.BAD_FRAME: 1, 0: 1}


async def test_a_subscription_for_which_too_much_is_pending_begins_anew() -> None:
    limits = msgspec.structs.replace(DEFAULTS, pending_changes_max=2)
    async with House(limits) as house:
        house.entities.put(CART, {"n": 1})
        async with while_reading(house):
            for number in range(2, 6):
                house.entities.put(CART, {"n": number})
        found = live_figures(house.gateway)
        assert (found.overflows, found.pending, found.subscriptions) == (1, 0, 1)


async def test_what_a_socket_does_not_take_waits_and_a_slow_one_is_behind() -> None:
    limits = msgspec.structs.replace(DEFAULTS, outbound_bytes_max=10_000)
    async with House(limits) as house:
        house.entities.put(ORDER, {"n": 0})
        wire = await house.connect(scope=order_tracking(ORDER[6:]))
        wire.stick()
        house.entities.put(ORDER, {"n": 1, "text": "x" * 500})
        house.entities.put(ORDER, {"n": 2, "text": "y" * 500})
        await settle()
        found = live_figures(house.gateway)
        assert (found.behind, 500 < found.waiting_bytes < 1_500) == (0, True)
        for number in range(3, 60):
            house.entities.put(ORDER, {"n": number, "text": str(number) * 500})
            await settle(3)
        assert live_figures(house.gateway).behind == 1
        wire.flow()
        await settle()
        found = live_figures(house.gateway)
        assert (found.behind, found.waiting_bytes) == (0, 0)

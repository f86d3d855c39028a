"""Slow consumers, and everything that can happen in any order."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.channels import order_tracking
from realtime.limits import DEFAULTS
from tests.realtime.fakes import CART, ORDER, Client, House, settle
from tests.realtime.subscribing import BOARD, subscribe, subscribed


async def test_a_slow_tracker_gets_the_newest_state_instead_of_every_change() -> None:
    limits = msgspec.structs.replace(DEFAULTS, outbound_bytes_max=10_000)
    async with House(limits) as house:
        house.entities.put(ORDER, {"n": 0, "text": "x" * 1_000})
        wire = await house.connect(scope=order_tracking(ORDER[6:]))
        client = Client().absorb(wire.take())
        wire.stick()
        for n in range(1, 60):
            house.entities.put(ORDER, {"n": n, "text": str(n) * 500})
            house.entities.signal(ORDER, "position", {"n": n})
            await settle(3)
        wire.flow()
        await settle()
        frames = wire.take()
        assert len(frames) < 20
        assert client.absorb(frames).views[ORDER] == house.entities.view(ORDER)
        assert [frame["args"] for frame in frames if frame["t"] == "signal"][-1] == {"n": 59}
        house.entities.put(ORDER, {"n": 60})
        await settle()
        assert client.absorb(wire.take()).views[ORDER] == {"n": 60}
        assert wire.closed is None


async def test_any_other_slow_consumer_is_closed_with_4008_and_forgotten() -> None:
    limits = msgspec.structs.replace(DEFAULTS, outbound_bytes_max=10_000, close_seconds_max=0.01)
    async with House(limits) as house:
        house.entities.put(CART, {"n": 0})
        wire, _ = await subscribed(house)
        wire.stick()
        for n in range(1, 60):
            house.entities.put(CART, {"n": n, "text": str(n) * 500})
            await settle(3)
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4008
        assert len(house.gateway) == 0


STEPS = st.lists(
    st.sampled_from(["put", "put", "put", "lost", "hold", "release", "join", "leave", "again", "host", "bus", "turn"]),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
async def test_whatever_happens_clients_end_with_the_newest_state(steps: list[str]) -> None:  # noqa: PLR0912
    """Puts, lost publications, slow reads, people coming and going, hosts and bus failing; the clients themselves
    check that no gap ever reaches them."""
    async with House() as house:
        house.entities.put(CART, {"n": 0}, groups=(BOARD,))
        wires = [await house.connect(subs=[{"ch": CART}]), await house.connect(subs=[{"ch": BOARD}])]
        clients = [Client(), Client()]
        for number, step in enumerate(steps):
            match step:
                case "put":
                    house.entities.put(CART, {"n": number, f"k{number % 3}": number})
                case "lost":
                    house.entities.deaf = True
                    house.entities.put(CART, {"lost": number})
                    house.entities.deaf = False
                case "hold":
                    house.entities.hold_answers = number % 2 == 0
                    house.entities.hold_reads = number % 2 == 1
                case "release":
                    house.entities.hold_answers = house.entities.hold_reads = False
                    house.entities.release()
                case "join":
                    wires.append(await house.connect(subs=[{"ch": CART, "mode": "state"}, {"ch": BOARD}]))
                    clients.append(Client())
                case "leave":
                    if len(wires) > 2:
                        wires[-1].feed({"t": "unsubscribe", "ch": BOARD})
                case "again":
                    have = clients[0].versions.get(CART, 0)
                    wires[0].feed(subscribe(CART, 9, have={CART: have}))
                case "host":
                    house.entities.replace_host()
                case "bus":
                    house.entities.on_reconnect()
                case _:
                    await settle(3)
            if step != "join":
                await settle(2)
        house.entities.hold_answers = house.entities.hold_reads = False
        for _ in range(4):
            house.entities.release()
            await settle()
        house.entities.on_reconnect()
        await settle(100)
        for wire, client in zip(wires, clients, strict=True):
            own = [
                frame
                for frame in wire.take("snapshot", "change")
                if frame["ch"] == (BOARD if wire is wires[1] else CART)
            ]
            if own or client.views:
                assert client.absorb(own).views[CART] == house.entities.view(CART)

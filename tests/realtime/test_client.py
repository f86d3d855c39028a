"""The Python client against a real server: WebSocket frames, encodings, reconnecting, nothing lost, nothing twice."""

import asyncio
import random

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoding
from realtime.client.errors import LiveClosedError, LiveRefusedError
from realtime.client.live import LiveClient
from realtime.limits import DEFAULTS
from tests.conditions import until
from tests.realtime.serving import Served, served

COUNTER = "counter/c1"


def client_of(house: Served, token: str = "alice", encoding: Encoding = "json") -> LiveClient:
    return LiveClient(house.url, token, encoding=encoding, backoff=FullJitter(0.02, 0.1, random.Random(1)))


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_commands_get_results_and_watchers_see_every_change(encoding: Encoding) -> None:
    async with served() as house, client_of(house, encoding=encoding) as device, client_of(house) as tablet:
        first = await device.command(COUNTER, "add", {"amount": 2})
        assert (first.status, first.version, first.reply) == ("applied", 1, {"total": 2})
        watching = await tablet.subscribe(COUNTER)
        assert watching.state()["total"] == 2
        for amount in range(5):
            assert (await device.command(COUNTER, "add", {"amount": amount + 1})).ok
        await watching.until(lambda one: one.state()["total"] == 17)
        assert watching.entities[COUNTER].version == 6
        assert tablet.stats.gaps == 0


async def test_refusals_come_back_with_their_codes() -> None:
    async with served() as house, client_of(house) as device:
        await device.command(COUNTER, "add", {"amount": 5})
        conflict = await device.command(COUNTER, "add", {"amount": 5, "limit": 6})
        assert (conflict.status, conflict.current) == ("conflict", 5)
        poisoned = await device.command(COUNTER, "explode", {"where": "decide"})
        assert (poisoned.status, poisoned.code) == ("rejected", "internal")
        assert (await device.command(COUNTER, "add", {"amount": 1})).reply == {"total": 6}


async def test_signals_travel_from_device_to_tablet() -> None:
    async with served() as house, client_of(house) as device, client_of(house) as tablet:
        await device.command(COUNTER, "add", {"amount": 1})
        watching = await tablet.subscribe(COUNTER)
        assert device.signal(COUNTER, "point", {"x": 3})
        await watching.until(lambda one: one.entities[COUNTER].signals.get("point") == {"x": 3})
        assert watching.entities[COUNTER].version == 1


async def test_what_is_not_yours_cannot_be_subscribed() -> None:
    async with served() as house, client_of(house) as device, client_of(house, "mallory") as other:
        await device.command(COUNTER, "add", {"amount": 1})
        for channel in (COUNTER, "board/alice/counters", "counter/none", "nonsense"):
            with pytest.raises(LiveRefusedError, match="not_found"):
                await other.subscribe(channel)


async def test_a_group_channel_follows_its_members() -> None:
    async with served() as house, client_of(house) as device, client_of(house) as board:
        group = "board/alice/counters"
        await device.command("counter/1", "join", {"group": group})
        watching = await board.subscribe(group)
        assert set(watching.entities) == {"counter/1"}
        await device.command("counter/1", "add", {"amount": 4})
        await device.command("counter/2", "join", {"group": group})
        await device.command("counter/2", "add", {"amount": 6})
        await watching.until(lambda one: len(one.entities) == 2 and one.state("counter/2")["total"] == 6)
        assert watching.state("counter/1")["total"] == 4


async def test_a_lost_socket_resumes_and_repeats_nothing() -> None:
    async with served() as house, client_of(house) as device, client_of(house) as tablet:
        await device.command(COUNTER, "add", {"amount": 1})
        watching = await tablet.subscribe(COUNTER)
        sending = [asyncio.create_task(device.command(COUNTER, "add", {"amount": 1})) for _ in range(150)]
        for _ in range(3):
            await until(lambda: device.welcome and tablet.welcome, "both are connected")
            for session in list(house.gateway.sessions()):
                session.shut(4001, "shutdown")
            await until(lambda: device.welcome is None or tablet.welcome is None, "sockets are lost")
        results = await asyncio.gather(*sending)
        assert all(result.ok for result in results)
        await watching.until(lambda one: one.state()["total"] == 151)
        assert watching.entities[COUNTER].version == 151
        assert device.stats.connects >= 3


async def test_a_server_that_comes_back_finds_its_clients_again() -> None:
    async with served() as house, client_of(house) as device:
        await device.command(COUNTER, "add", {"amount": 1})
        watching = await device.subscribe(COUNTER)
        await house.hush()
        waiting = asyncio.create_task(device.command(COUNTER, "add", {"amount": 2}))
        await until(lambda: device.welcome is None, "the socket is lost")
        await house.listen()
        assert (await waiting).ok
        assert device.stats.connects == 2
        await watching.until(lambda one: one.state()["total"] == 3)


async def test_lost_publications_are_found_by_the_next_change() -> None:
    async with served() as house, client_of(house) as device:
        await device.command(COUNTER, "add", {"amount": 1})
        watching = await device.subscribe(COUNTER)
        house.bus.deaf = True
        await device.command(COUNTER, "add", {"amount": 10})
        house.bus.deaf = False
        await device.command(COUNTER, "add", {"amount": 100})
        await watching.until(lambda one: one.state()["total"] == 111)


async def test_a_replaced_host_is_watched_again_and_loses_nothing() -> None:
    async with served() as house, client_of(house) as device:
        await device.command(COUNTER, "add", {"amount": 1})
        watching = await device.subscribe(COUNTER)
        old = house.runtime.hosts["host-1"]
        await house.runtime.start_host("host-1")
        await old.stop()
        assert (await device.command(COUNTER, "add", {"amount": 1})).ok
        await watching.until(lambda one: one.state()["total"] == 2)


async def test_a_token_that_is_refused_ends_the_client() -> None:
    async with served() as house, client_of(house, "forged") as device:
        with pytest.raises(LiveClosedError) as caught:
            await device.connected()
        assert caught.value.code == 4500
        with pytest.raises(LiveClosedError):
            await device.command(COUNTER, "add", {"amount": 1})


async def test_an_expired_token_is_replaced_on_the_next_connection() -> None:
    tokens = iter(["expired", "alice"])
    async with (
        served() as house,
        LiveClient(house.url, lambda: next(tokens), backoff=FullJitter(0.01, 0.01)) as device,
    ):
        await device.connected()
        assert next(house.gateway.sessions()).actor.subject == "alice"


async def test_a_drained_gateway_hands_its_clients_on() -> None:
    limits = msgspec.structs.replace(DEFAULTS, reconnect_seconds_min=0.01, reconnect_seconds_max=0.02)
    async with served(limits) as house, client_of(house) as device:
        await device.command(COUNTER, "add", {"amount": 1})
        await house.gateway.drain(1)
        waiting = asyncio.create_task(device.command(COUNTER, "add", {"amount": 1}))
        house.gateway.draining = False
        assert (await waiting).reply == {"total": 2}
        assert device.stats.connects == 2


async def test_a_held_queue_is_sent_again_in_order() -> None:
    limits = msgspec.structs.replace(DEFAULTS, commands_per_second=200.0, commands_burst=64.0, frames_burst=10_000.0)
    async with served(limits) as house, client_of(house) as device:
        results = await asyncio.gather(*(device.command(COUNTER, "add", {"amount": 1}) for _ in range(120)))
        assert [result.version for result in results] == list(range(1, 121))
        assert device.stats.held > 0


async def test_a_foreign_subprotocol_learns_why_it_is_closed() -> None:
    async with served() as house:
        with pytest.raises(ConnectionClosedError) as caught:
            async with connect(
                house.url, subprotocols=None, additional_headers={"Sec-WebSocket-Protocol": "atrium.v9.json"}
            ) as socket:
                await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4506

"""The live client against a server that misbehaves: what is lost, repeated, garbled or never answered."""

import asyncio
from typing import Any

import msgspec
import pytest

from realtime.client.errors import LiveClosedError, LiveRefusedError, StoreError
from realtime.client.limits import DEFAULTS
from realtime.client.live import LiveClient
from realtime.client.queue import MemoryQueue
from tests.conditions import until
from tests.realtime.scripted import Scripted, quick, scripted

ROOM = "room/1"


def client_of(house: Scripted, **more: Any) -> LiveClient:
    return LiveClient(house.url, "token", backoff=quick(), **more)


async def test_results_are_acknowledged_when_the_queue_runs_empty() -> None:
    async with scripted() as house, client_of(house) as client:
        line = await house.welcomed()
        sent = [asyncio.create_task(client.command(ROOM, "claim")) for _ in range(3)]
        commands = [await line.hear("command") for _ in range(3)]
        await line.result(commands[0])
        await sent[0]
        await line.result(commands[1])
        await line.result(commands[2])
        assert (await line.hear("ack"))["results_upto"] == 3
        await asyncio.gather(*sent)


async def test_a_long_replay_is_acknowledged_on_the_way() -> None:
    async with scripted() as house, client_of(house) as client:
        for _ in range(DEFAULTS.ack_every_results + 5):
            client.submit(ROOM, "claim")
        line = await house.welcomed()
        for _ in range(DEFAULTS.ack_every_results + 1):
            await line.result(await line.hear("command"))
        assert DEFAULTS.ack_every_results <= (await line.hear("ack"))["results_upto"] <= DEFAULTS.ack_every_results + 1


class FullDisk(MemoryQueue):
    full = True

    def commit(self) -> None:
        if self.full:
            raise StoreError("disk full")


async def test_nothing_is_acknowledged_that_could_not_be_stored() -> None:
    limits = msgspec.structs.replace(DEFAULTS, store_retry_seconds=0.01)
    queue = FullDisk()
    async with scripted() as house, client_of(house, queue=queue, limits=limits) as client:
        line = await house.welcomed()
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        await line.result(await line.hear("command"))
        await line.say({"t": "ping", "n": 1})
        await line.hear("pong")
        assert not waiting.done()
        queue.full = False
        assert (await waiting).ok
        assert (await line.hear("ack"))["results_upto"] == 1


async def test_insufficient_state_renumbers_the_queue_under_a_higher_epoch() -> None:
    async with scripted() as house, client_of(house) as client:
        line = await house.welcomed()
        waiting = [asyncio.create_task(client.command(ROOM, op)) for op in ("claim", "release", "undo")]
        commands = [await line.hear("command") for _ in range(3)]
        await line.result(commands[0])
        await waiting[0]
        await line.close(4010)
        line = await house.line()
        hello = await line.welcome(last_seq=0)
        assert (hello["epoch"], hello["first_unacked"]) == (2, 1)
        again = [await line.hear("command") for _ in range(2)]
        assert [(one["epoch"], one["seq"], one["op"]) for one in again] == [(2, 1, "release"), (2, 2, "undo")]
        for command in again:
            await line.result(command)
        assert [one.seq for one in await asyncio.gather(*waiting[1:])] == [1, 2]
        assert client.stats.epochs == 1


async def test_a_device_that_is_behind_goes_on_where_the_server_is() -> None:
    async with scripted() as house, client_of(house) as client:
        client.submit(ROOM, "claim")
        line = await house.line()
        await line.welcome(last_seq=40)
        first = await line.hear("command")
        assert first["seq"] == 1
        await line.result(first, "duplicate", original={"status": "applied", "ver": 3})
        client.submit(ROOM, "release")
        assert (await line.hear("command"))["seq"] == 41


@pytest.mark.parametrize(("code", "known"), [(4014, {}), (4001, {ROOM: 3})])
async def test_only_invalidated_states_are_dropped(code: int, known: dict[str, int]) -> None:
    async with scripted() as house, client_of(house) as client:
        subscription = client.follow(ROOM)
        line = await house.welcomed()
        await line.snapshot(ROOM, {ROOM: (3, {"status": "held"})})
        await subscription.until(lambda one: one.current)
        await line.close(code)
        hello = await (await house.line()).welcome()
        assert hello["subs"] == [{"ch": ROOM, "have": known, "mode": "patch"}]


@pytest.mark.parametrize("code", [4500, 4503, 4505, 4507])
async def test_a_final_close_keeps_the_queue_and_can_be_begun_again(code: int) -> None:
    async with scripted() as house, client_of(house) as client:
        line = await house.welcomed()
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        await line.hear("command")
        await line.close(code)
        with pytest.raises(LiveClosedError, match=str(code)):
            await waiting
        assert client.queue.after(0) is not None
        with pytest.raises(LiveClosedError):
            await client.connected()
        client.online()
        line = await house.welcomed()
        await line.result(await line.hear("command"))
        await line.hear("ack")
        assert client.queue.after(0) is None


async def test_a_cut_link_stays_away_until_it_is_mended() -> None:
    async with scripted() as house, client_of(house) as client:
        await house.welcomed()
        await client.connected()
        await client.offline()
        seq, _ = client.submit(ROOM, "claim")
        assert client.welcome is None
        assert house.lines.empty()
        client.online()
        line = await house.welcomed()
        assert (await line.hear("command"))["seq"] == seq


@pytest.mark.parametrize(
    "nonsense", ["{", "[]", '{"no": "type"}', '{"t": "result"}', '{"t": "change", "ch": "room/1"}']
)
async def test_frames_that_make_no_sense_cost_the_connection_and_no_more(nonsense: str) -> None:
    async with scripted() as house, client_of(house) as client:
        client.follow(ROOM)
        line = await house.welcomed()
        await line.snapshot(ROOM, {ROOM: (1, {})})
        client.submit(ROOM, "claim")
        await line.hear("command")
        await line.socket.send(nonsense)
        line = await house.welcomed()
        await line.result(await line.hear("command"))
        await line.hear("ack")
        assert client.link.garbled == 1


async def test_repeated_frames_change_nothing() -> None:
    async with scripted() as house, client_of(house) as client:
        subscription = client.follow(ROOM)
        line = await house.welcomed()
        await line.snapshot(ROOM, {ROOM: (1, {"n": 1})})
        change = {"t": "change", "ch": ROOM, "ent": ROOM, "ver": 2, "hlc": "", "patch": {"n": 2}}
        await line.say(change, change)
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        command = await line.hear("command")
        await line.result(command)
        await line.result(command)
        assert (await waiting).ok
        assert subscription.state() == {"n": 2}
        assert client.stats.gaps == 0
        assert client.stats.connects == 1


async def test_a_server_that_never_welcomes_is_given_up() -> None:
    limits = msgspec.structs.replace(DEFAULTS, welcome_seconds_max=0.05)
    async with scripted() as house, client_of(house, limits=limits) as client:
        line = await house.line()
        await line.hear("hello")
        await house.welcomed()
        await client.connected()


async def test_a_server_that_answers_pings_but_no_commands_is_given_up() -> None:
    limits = msgspec.structs.replace(DEFAULTS, result_seconds_max=0.0)
    async with scripted() as house, client_of(house, limits=limits) as client:
        line = await house.welcomed()
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        await line.hear("command")
        await line.say({"t": "ping", "n": 1})
        line = await house.welcomed()
        await line.result(await line.hear("command"))
        assert (await waiting).ok
        assert client.resent == 1


async def test_a_half_open_socket_is_found_by_pings() -> None:
    async with (
        scripted() as house,
        client_of(house, limits=msgspec.structs.replace(DEFAULTS, ping_seconds=0.05)) as client,
    ):
        line = await house.welcomed()
        await client.connected()
        line.socket.transport.pause_reading()
        await house.welcomed()
        await until(lambda: client.stats.connects == 2, "the client is back")


async def test_a_token_that_cannot_be_had_is_asked_for_again() -> None:
    tokens = iter([None, "good"])

    def token() -> str:
        found = next(tokens)
        if found is None:
            raise ConnectionRefusedError("the login service is away")
        return found

    async with scripted() as house, LiveClient(house.url, token, backoff=quick()) as client:
        lines = [await house.line(), await house.line()]
        assert (await lines[1].welcome())["token"] == "good"
        await client.connected()


async def test_a_command_that_the_server_never_takes_is_told() -> None:
    async with scripted() as house, client_of(house) as client:
        line = await house.welcomed()
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        command = await line.hear("command")
        await line.say(
            {
                "t": "error",
                "ref": command["seq"],
                "code": "no_device",
                "temporary": False,
                "retry_after_ms": 0,
                "of": "command",
            }
        )
        with pytest.raises(LiveRefusedError, match="no_device"):
            await waiting
        assert client.queue.after(0) is not None


async def test_commands_and_hello_carry_the_devices_clock() -> None:
    async with scripted() as house, client_of(house) as client:
        line = await house.line()
        hello = await line.welcome(hlc="ffffffffffff-0000")
        client.submit(ROOM, "claim")
        client.submit(ROOM, "release")
        first, second = await line.hear("command"), await line.hear("command")
        assert hello["hlc"] < first["hlc"] < second["hlc"] < "ff"
        assert first["hlc"].endswith(client.queue.device_id)


async def test_one_shows_oneself_again_after_a_lost_socket_and_meets_the_others() -> None:
    channel = "location/l1/rooms"
    async with scripted() as house, client_of(house) as client:
        subscription = client.follow(channel)
        client.show(channel, {"section": "plan"})
        for _ in range(2):
            line = await house.welcomed()
            await line.snapshot(channel, {})
            shown = await line.hear("presence")
            assert shown == {"t": "presence", "ch": channel, "state": {"section": "plan"}}
            bob = {"id": "b", "subject": "bob", "device_id": "", "since": "", "state": {}}
            await line.say({"t": "presence", "ch": channel, "joins": [bob]})
            await subscription.until(lambda one: set(one.people) == {"b"})
            await line.say({"t": "presence", "ch": channel, "updates": [bob | {"state": {"n": 1}}]})
            await subscription.until(lambda one: one.people["b"]["state"] == {"n": 1})
            if client.stats.connects != 2:
                line.drop()
        await line.say({"t": "presence", "ch": channel, "leaves": ["b"]})
        await subscription.until(lambda one: not one.people)
        client.show(channel, {})
        assert (await line.hear("presence"))["state"] == {}


async def test_a_bad_gateway_is_not_hammered() -> None:
    """A connection that ends at once is no success: the pauses grow."""
    backoff = quick()
    async with scripted() as house, LiveClient(house.url, "token", backoff=backoff):
        for _ in range(4):
            await (await house.welcomed()).close(4001)
        await house.line()
        assert backoff._failures >= 4


class Unwritable(MemoryQueue):
    full = True

    def skip_to(self, seq: int) -> None:
        if self.full:
            self.full = False
            raise StoreError("disk full")
        super().skip_to(seq)


async def test_a_disk_that_is_full_for_a_moment_does_not_end_the_client() -> None:
    async with scripted() as house, client_of(house, queue=Unwritable()) as client:
        await house.welcomed()
        line = await house.welcomed()
        waiting = asyncio.create_task(client.command(ROOM, "claim"))
        await line.result(await line.hear("command"))
        assert (await waiting).ok

"""The bad network: every fault does what it says, and the same seed does the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from loadtests.faulty_proxy import CALM, Draw, FaultyProxy, FrameSplitter, Plan, drawn, repeatable
from loadtests.frames import BINARY, PING, TEXT, encode_frame
from tests.conditions import until


class Far:
    """A server that keeps what it hears and answers each message with itself."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: list[str | bytes] = []
        self.ended: list[int | None] = []
        self.sockets: list[ServerConnection] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        try:
            async for message in socket:
                self.heard.append(message)
                await socket.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.ended.append(socket.close_code)


@asynccontextmanager
async def through(draw: Draw) -> AsyncIterator[tuple[Far, FaultyProxy]]:
    far = Far()
    async with serve(far.serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.1) as server:
        far.port = next(iter(server.sockets)).getsockname()[1]
        async with FaultyProxy("127.0.0.1", far.port, draw=draw) as proxy:
            yield far, proxy


def dial(proxy: FaultyProxy, ping: float | None = None) -> connect:
    return connect(
        f"ws://127.0.0.1:{proxy.port}/live",
        proxy=None,
        compression=None,
        ping_interval=ping,
        ping_timeout=ping,
        close_timeout=0.1,
    )


async def exchange(socket: ClientConnection, *messages: str) -> list[str | bytes]:
    answers = []
    async with asyncio.timeout(5):
        for message in messages:
            await socket.send(message)
            answers.append(await socket.recv())
    return answers


async def test_a_calm_link_passes_everything_on_both_ways_and_the_close_code() -> None:
    async with through(lambda _: CALM) as (far, proxy):
        async with dial(proxy) as socket:
            for size in (0, 1, 125, 126, 65_535, 65_536, 200_000):
                assert await exchange(socket, "x" * size) == ["x" * size]
            await far.sockets[0].close(4505)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4505
        assert proxy.counters == {"connections": 1, "delayed": 0, "slow": 0}


async def test_a_dropped_link_ends_for_both() -> None:
    async with through(lambda _: Plan(end="dropped", after=3)) as (far, proxy):
        async with dial(proxy) as socket:
            assert await exchange(socket, "a", "b") == ["a", "b"]
            await socket.send("c")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1006
        await until(lambda: far.ended == [1006], "the server knows")
        assert far.heard == ["a", "b"]
        assert proxy.counters["dropped"] == 1


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_truncated_frame_is_no_message(direction: str) -> None:
    async with through(lambda _: Plan(end="truncated", directions=(direction,), after=2)) as (far, proxy):
        async with dial(proxy) as socket:
            assert await exchange(socket, "first") == ["first"]
            await socket.send("second" * 100)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await until(lambda: far.ended, "the server knows")
        assert far.heard == (["first"] if direction == "up" else ["first", "second" * 100])
        assert proxy.counters["truncated"] == 1


async def test_a_half_open_link_loses_what_the_client_says_and_tells_nobody() -> None:
    async with through(lambda _: Plan(end="half_open", directions=("up",), after=2)) as (far, proxy):
        async with dial(proxy) as socket:
            assert await exchange(socket, "a") == ["a"]
            await socket.send("lost")
            await until(lambda: proxy.counters["half_open"], "the link is half open")
            await far.sockets[0].send("still heard")
            assert await socket.recv() == "still heard"
        assert (far.heard, far.ended) == (["a"], [])


async def test_a_link_that_is_dead_both_ways_is_found_by_pings_and_ends_when_the_weather_clears() -> None:
    plan = Plan(end="half_open", directions=("up", "down"), after=2)
    async with through(lambda _: plan) as (far, proxy):
        async with dial(proxy, ping=0.05) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert far.ended == []
        proxy.calm()
        await until(lambda: far.ended, "the server knows")
        async with dial(proxy) as socket:
            assert await exchange(socket, "a", "b", "c") == ["a", "b", "c"]


async def test_the_first_message_arrives_once_and_others_may_arrive_twice() -> None:
    async with through(lambda _: Plan(duplicate=1.0)) as (far, proxy):
        async with dial(proxy) as socket:
            for message in ("hello", "a", "b"):
                await socket.send(message)
            await until(lambda: len(far.heard) == 5, "all have arrived")
        assert far.heard == ["hello", "a", "a", "b", "b"]
        assert proxy.counters["duplicated"] == 2


async def test_a_slow_and_late_link_loses_nothing() -> None:
    async with through(lambda _: Plan(slow=True, delay_s_max=0.001)) as (_, proxy):
        async with dial(proxy) as socket:
            assert await exchange(socket, "x" * 5_000, "y") == ["x" * 5_000, "y"]
        assert (proxy.counters["slow"], proxy.counters["delayed"]) == (1, 1)


async def test_a_refused_upgrade_comes_through() -> None:
    async with serve(Far().serve, "127.0.0.1", 0, process_request=lambda socket, _: socket.respond(404, "no")) as far:
        port = next(iter(far.sockets)).getsockname()[1]
        async with FaultyProxy("127.0.0.1", port, draw=lambda _: CALM) as proxy:
            with pytest.raises(InvalidStatus) as caught:
                await dial(proxy).__aenter__()
            assert caught.value.response.status_code == 404


async def test_a_server_that_is_not_there_is_a_reset() -> None:
    async with FaultyProxy("127.0.0.1", 1, draw=lambda _: CALM) as proxy:
        with pytest.raises((OSError, InvalidMessage)):
            await dial(proxy).__aenter__()


def test_the_same_seed_draws_the_same_and_all_faults_occur() -> None:
    plans = [drawn(7)(number) for number in range(200)]
    assert plans == [drawn(7)(number) for number in range(200)]
    assert plans != [drawn(8)(number) for number in range(200)]
    assert {plan.end for plan in plans} == {"", "half_open", "truncated", "dropped"}
    assert {plan.directions for plan in plans} == {("up",), ("down",), ("up", "down")}
    assert any(plan.slow for plan in plans)
    assert any(plan.duplicate for plan in plans)
    assert any(plan.delay_s_max for plan in plans)


@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
def test_frames_are_found_however_the_stream_is_cut(step: int) -> None:
    frames = [encode_frame(TEXT, b"x" * size) for size in (0, 1, 125, 126, 65_535, 65_536)]
    stream, splitter, found = b"".join(frames), FrameSplitter(), []
    for start in range(0, len(stream), step):
        found += splitter.feed(stream[start : start + step])
    assert found == frames


def test_only_whole_messages_are_repeatable() -> None:
    assert repeatable(encode_frame(TEXT, b"a"))
    assert repeatable(encode_frame(BINARY, b"a"))
    assert not repeatable(encode_frame(PING, b"a"))
    assert not repeatable(bytes([TEXT]) + encode_frame(TEXT, b"a")[1:])

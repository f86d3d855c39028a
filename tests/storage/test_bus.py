import asyncio
import os
import signal

import pytest

from storage.bus import Bus, BusAway, BusLimits
from storage.embedded.redis import EmbeddedRedis
from tests.conditions import until

pytestmark = pytest.mark.stack

QUICK = BusLimits(answer_s=0.5, quiet_s=0.2, backoff_max_s=0.1)


@pytest.fixture
async def bus(redis_url):
    async with await Bus.connect(redis_url, QUICK) as one:
        yield one


@pytest.fixture
async def other(redis_url):
    async with await Bus.connect(redis_url, QUICK) as one:
        yield one


@pytest.fixture
def own_redis(tmp_path):
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    server.stop()


class Ear:
    def __init__(self):
        self.heard: list[bytes] = []
        self.gaps = 0

    def on_message(self, payload):
        self.heard.append(payload)

    def on_reconnect(self):
        self.gaps += 1


async def _listen(bus, channel="c"):
    ear = Ear()
    await bus.subscribe(channel, ear.on_message, ear.on_reconnect)
    return ear


async def test_messages_arrive_in_order_on_their_channel(bus, other):
    ear, stranger = await _listen(other), await _listen(other, "d")
    for number in range(1_000):
        bus.publish("c", b"%d" % number)
    await until(lambda: len(ear.heard) == 1_000, "all messages heard")
    assert ear.heard == [b"%d" % number for number in range(1_000)]
    assert stranger.heard == []
    assert ear.gaps == 0
    assert bus.health().published == 1_000


async def test_a_quiet_subscription_stays_alive(bus, other):
    ear = await _listen(other)
    await until(lambda: other.questions >= 3, "three times asked whether Redis is there")
    bus.publish("c", b"still there")
    await until(lambda: ear.heard == [b"still there"], "a message after a quiet time")
    assert ear.gaps == 0


async def test_a_callback_that_raises_does_not_end_the_subscription(bus, other):
    heard = []

    def on_message(payload):
        heard.append(payload)
        if payload == b"bad":
            raise ValueError(payload)

    await other.subscribe("c", on_message, lambda: None)
    bus.publish("c", b"bad")
    bus.publish("c", b"good")
    await until(lambda: heard == [b"bad", b"good"], "both messages")


async def test_a_closed_subscription_hears_nothing(bus, other):
    ear, still = Ear(), await _listen(other)
    subscription = await other.subscribe("c", ear.on_message, ear.on_reconnect)
    await subscription.close()
    bus.publish("c", b"x")
    await until(lambda: still.heard == [b"x"], "the other subscription hears")
    assert ear.heard == []


async def test_publishing_survives_a_killed_redis_and_subscribers_are_told(own_redis):
    async with await Bus.connect(own_redis.url, QUICK) as bus:
        ear = await _listen(bus)
        os.kill(own_redis.pid, signal.SIGKILL)
        await until(lambda: not own_redis.alive(), "Redis is gone")
        bus.publish("c", b"kept")
        await until(lambda: bus.degraded, "the bus is degraded")
        own_redis.start()
        await until(lambda: ear.gaps == 1, "the subscriber is told of the gap")
        bus.publish("c", b"after")
        await until(lambda: b"after" in ear.heard, "messages flow again")
        assert not bus.degraded


async def test_a_suspended_redis_is_noticed_and_forgiven(own_redis):
    async with await Bus.connect(own_redis.url, QUICK) as bus:
        ear = await _listen(bus)
        os.kill(own_redis.pid, signal.SIGSTOP)
        with pytest.raises(BusAway):
            await bus.ping()
        assert bus.degraded
        os.kill(own_redis.pid, signal.SIGCONT)
        await until(bus_answers(bus), "Redis answers again")
        await until(lambda: bus.reconnects == ear.gaps, "every reconnect was told")
        seen = len(ear.heard)
        bus.publish("c", b"x")
        await until(lambda: len(ear.heard) > seen, "messages flow again")


def bus_answers(bus):
    async def answers():
        try:
            return await bus.ping()
        except BusAway:
            return None

    return answers


async def test_what_does_not_fit_the_buffer_is_dropped_and_told_as_a_gap(own_redis):
    limits = BusLimits(buffer_messages_max=10, answer_s=0.5, backoff_max_s=0.1)
    async with await Bus.connect(own_redis.url, QUICK) as listener, await Bus.connect(own_redis.url, limits) as bus:
        ear = await _listen(listener)
        for number in range(25):  # without a pause for the publisher in between
            bus.publish("c", b"%d" % number)
        assert (bus.health().buffered, bus.health().dropped) == (10, 15)
        await until(lambda: ear.gaps == 1, "the gap is told")
        assert ear.heard == [b"%d" % number for number in range(10)]


async def test_bytes_in_the_buffer_are_bounded(own_redis):
    limits = BusLimits(buffer_bytes_max=100, answer_s=0.5)
    async with await Bus.connect(own_redis.url, limits) as bus:
        bus.publish("c", bytes(60))
        bus.publish("c", bytes(60))
        assert bus.health().dropped == 1
        await bus.idle.wait()
        bus.publish("c", bytes(60))
        assert bus.health().dropped == 1


async def test_a_bus_without_redis_starts_degraded_and_recovers(own_redis):
    own_redis.stop()
    async with await Bus.connect(own_redis.url, QUICK) as bus:
        assert bus.degraded
        ear = await _listen(bus)
        bus.publish("c", b"x")
        own_redis.start()
        await until(lambda: ear.gaps == 1, "a late first connection counts as a gap")
        bus.publish("c", b"y")
        await until(lambda: b"y" in ear.heard, "messages flow")


async def test_a_stream_gives_its_entries_after_an_id(bus):
    ids = await bus.append("t", [{"n": str(number)} for number in range(5)], length_max=100)
    assert ids == sorted(ids)
    assert [entry.fields for entry in await bus.read("t", after=ids[1], count=2)] == [{"n": b"2"}, {"n": b"3"}]
    assert await bus.newest_id("t") == ids[-1]
    assert await bus.newest_id("none") == "0-0"


async def test_a_stream_is_trimmed_to_about_its_length(bus):
    await bus.append("t", [{"n": "x"}] * 5_000, length_max=1_000)
    assert 1_000 <= len(await bus.read("t", count=10_000)) < 1_200


async def test_a_group_gives_each_entry_to_one_consumer_and_stale_ones_to_another(bus):
    await bus.append("t", [{"n": str(number)} for number in range(4)], length_max=100)
    await bus.join_group("t", "g")
    await bus.join_group("t", "g")
    first = await bus.read_group("t", "g", "a", count=2)
    second = await bus.read_group("t", "g", "b")
    assert [entry.fields["n"] for entry in first + second] == [b"0", b"1", b"2", b"3"]
    await bus.acknowledge("t", "g", [entry.id for entry in second])
    assert await bus.claim_stale("t", "g", "b", idle_ms=0) == first
    assert await bus.read_group("t", "g", "b") == []


async def test_streams_raise_when_redis_is_away(own_redis):
    async with await Bus.connect(own_redis.url, QUICK) as bus:
        own_redis.stop()
        with pytest.raises(BusAway):
            await bus.append("t", [{"n": "1"}], length_max=10)
        with pytest.raises(BusAway):
            await bus.read("t")
        assert bus.degraded


async def test_closing_ends_a_subscription_whatever_it_is_about(redis_url):
    """A cancellation that comes while the subscriber asks whether Redis is there must not get lost."""
    async with await Bus.connect(redis_url, BusLimits(quiet_s=0.001)) as busy:
        for _ in range(40):
            subscription = await busy.subscribe("c", lambda _: None, lambda: None)
            asked = busy.questions
            await until(lambda asked=asked: busy.questions > asked, "it asks")
            await asyncio.wait_for(subscription.close(), 5)
        assert busy.subscriptions == []

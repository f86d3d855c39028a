"""A bus whose messages are sealed: who cannot open one has missed it, and is told so now and then."""

import asyncio
from collections.abc import Callable, Container
from typing import Any

import pytest

from storage.crypto import KeyRing, KeySet
from storage.sealed_bus import SealedBus

OLD, NEW = b"o" * 32, b"n" * 32


class Wire:
    """A `ClearBus` of memory, which shows what went over it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.closed: list[str] = []
        self._ears: list[tuple[str, Callable[[bytes], None], Callable[[], None]]] = []

    def publish(self, channel: str, payload: bytes) -> None:
        self.sent.append((channel, payload))
        for name, on_message, _ in self._ears:
            if name == channel:
                on_message(payload)

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> Any:
        self._ears.append((channel, on_message, on_reconnect))
        wire = self

        class Ended:
            async def close(self) -> None:
                wire.closed.append(channel)

        return Ended()

    def reconnect(self) -> None:
        for _, _, on_reconnect in self._ears:
            on_reconnect()


class Source:
    """A key source that may be away."""

    def __init__(self) -> None:
        self.stored, self.current, self.away, self.reads = {1: OLD}, 1, False, 0

    async def keys(self, known: Container[int]) -> KeySet:
        self.reads += 1
        if self.away:
            raise ConnectionError
        return KeySet({key_id: key for key_id, key in self.stored.items() if key_id not in known}, self.current)


class Pauses:
    """Ends when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._over.wait()
        self._over.clear()

    async def over(self) -> None:
        self._over.set()
        await settled()


class Heard:
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.missed = 0

    def on_missed(self) -> None:
        self.missed += 1


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def listening(bus: SealedBus, channel: str = "c") -> Heard:
    heard = Heard()
    await bus.subscribe(channel, heard.messages.append, heard.on_missed)
    return heard


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(KeySet({1: OLD}, 1), Source())


async def test_what_one_publishes_another_reads_and_the_wire_does_not(wire: Wire, keys: KeyRing) -> None:
    heard = await listening(SealedBus(wire, keys))
    SealedBus(wire, KeyRing(KeySet({1: OLD}, 1))).publish("c", b"allergic to lidocaine")
    assert heard.messages == [b"allergic to lidocaine"]
    assert not [payload for _, payload in wire.sent if b"lidocaine" in payload]


async def test_what_is_made_up_is_not_heard_and_counts_as_missed(wire: Wire, keys: KeyRing) -> None:
    pauses = Pauses()
    bus = SealedBus(wire, keys, pause=pauses)
    heard = await listening(bus)
    wire.publish("c", b"\x90")
    SealedBus(wire, KeyRing(KeySet({1: NEW}, 1))).publish("c", b"with a key of their own")
    SealedBus(wire, keys).publish("d", b"for another channel")
    wire.publish("c", wire.sent[-1][1])
    await settled()
    assert (heard.messages, heard.missed, bus.refused) == ([], 1, 3)
    await bus.close()


async def test_however_much_is_missed_the_subscriber_is_told_once_in_a_while(wire: Wire, keys: KeyRing) -> None:
    pauses = Pauses()
    bus = SealedBus(wire, keys, pause=pauses)
    heard = await listening(bus)
    for _ in range(1_000):
        wire.publish("c", b"nonsense")
    wire.reconnect()
    await settled()
    assert heard.missed == 1
    wire.publish("c", b"nonsense")
    wire.reconnect()
    await settled()
    assert heard.missed == 1
    await pauses.over()
    assert (heard.missed, pauses.asked) == (2, [1.0, 1.0])
    await pauses.over()
    assert heard.missed == 2
    await bus.close()


async def test_a_key_that_a_rotation_made_is_read_and_what_came_until_then_was_missed(wire: Wire) -> None:
    source = Source()
    keys = KeyRing(await source.keys(()), source)
    bus = SealedBus(wire, keys, pause=Pauses())
    heard = await listening(bus)
    source.stored[2], source.current = NEW, 2
    rotated = SealedBus(wire, KeyRing(KeySet({1: OLD, 2: NEW}, 2)))
    rotated.publish("c", b"first")
    rotated.publish("c", b"second")
    assert (heard.messages, heard.missed) == ([], 0)
    await settled()
    assert (heard.missed, source.reads) == (1, 2)
    rotated.publish("c", b"third")
    assert heard.messages == [b"third"]
    await bus.close()


async def test_while_the_keys_cannot_be_read_the_subscriber_is_told_and_it_is_tried_again(wire: Wire) -> None:
    source, pauses = Source(), Pauses()
    keys = KeyRing(await source.keys(()), source)
    bus = SealedBus(wire, keys, pause=pauses)
    heard = await listening(bus)
    source.away = True
    stranger = SealedBus(wire, KeyRing(KeySet({9: NEW}, 9)))
    stranger.publish("c", b"x")
    await settled()
    assert (heard.missed, source.reads) == (1, 2)
    source.away, source.stored[9] = False, NEW
    stranger.publish("c", b"y")
    await pauses.over()
    stranger.publish("c", b"z")
    assert (heard.missed, source.reads, heard.messages) == (2, 3, [b"z"])
    await bus.close()


async def test_a_message_that_is_played_again_is_no_news_and_nothing_missed(wire: Wire, keys: KeyRing) -> None:
    bus = SealedBus(wire, keys)
    heard = await listening(bus)
    bus.publish("c", b"once")
    wire.publish("c", wire.sent[-1][1])
    await settled()
    assert (heard.messages, heard.missed, bus.repeated) == ([b"once"], 0, 1)


async def test_nothing_comes_in_clear(wire: Wire, keys: KeyRing) -> None:
    bus = SealedBus(wire, keys, pause=Pauses())
    heard = await listening(bus)
    wire.publish("c", b"")
    wire.publish("c", b"open door")
    assert (heard.messages, bus.refused) == ([], 2)
    await bus.close()


async def test_a_subscriber_that_raises_goes_on_being_told(wire: Wire, keys: KeyRing) -> None:
    told = 0

    def raises() -> None:
        nonlocal told
        told += 1
        raise RuntimeError

    pauses = Pauses()
    bus = SealedBus(wire, keys, pause=pauses)
    await bus.subscribe("c", lambda _: None, raises)
    wire.reconnect()
    await settled()
    wire.reconnect()
    await pauses.over()
    assert told == 2
    await bus.close()


async def test_closing_ends_the_subscriptions_and_leaves_no_task(wire: Wire, keys: KeyRing) -> None:
    before = asyncio.all_tasks()
    bus = SealedBus(wire, keys, pause=Pauses())
    await listening(bus, "c")
    one = await bus.subscribe("d", lambda _: None, lambda: None)
    wire.reconnect()
    await settled()
    await one.close()
    assert wire.closed == ["d"]
    await bus.close()
    assert (sorted(wire.closed), bus.ears, asyncio.all_tasks()) == (["c", "d"], [], before)

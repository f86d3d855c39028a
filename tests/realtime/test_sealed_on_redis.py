"""From a host to a device over the real Redis: what is sensitive is sealed on the way, and cannot be made up."""

from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from actors.runtime.local import LocalRuntime
from actors.runtime.publishing import BusPublisher, gateway_channel
from actors.runtime.wire import Change
from domain.merge_patch import apply
from realtime.codec import JSON
from realtime.hub import Hub
from realtime.presence import Presence
from storage.bus import Bus
from storage.crypto import KeyRing, KeySet
from storage.journal.memory import MemoryJournal, MemoryStore
from storage.sealed_bus import SealedBus
from tests.actors.runtime.counter import KINDS, OWNER, Add
from tests.actors.runtime.secret import SECRETS, Note
from tests.conditions import until
from tests.realtime.entities import Entities
from tests.realtime.presences import ROOM, Tablet

pytestmark = pytest.mark.stack

BOTH = KINDS | SECRETS
SECRET, COUNTER = "secret/s", "counter/c"
CHANNEL = gateway_channel("gw")


class Keys:
    """Where both rings come from."""

    def __init__(self) -> None:
        self.stored, self.current = {1: b"o" * 32}, 1

    async def keys(self, known: Container[int]) -> KeySet:
        return KeySet({key_id: key for key_id, key in self.stored.items() if key_id not in known}, self.current)

    async def ring(self) -> KeyRing:
        return KeyRing(await self.keys(()), self)


class Device:
    """Knows of the entities what the frames say."""

    codec = JSON
    actor = OWNER

    def __init__(self) -> None:
        self.views: dict[str, Any] = {}

    def deliver(self, frame: bytes, key: object) -> None:
        message = msgspec.json.decode(frame)
        for entity in message.get("entities", []):
            self.views[entity["ent"]] = entity["state"]
        if message["t"] == "change":
            patched = apply(self.views.get(message["ent"], {}), message.get("patch", {}))
            self.views[message["ent"]] = message.get("state", patched)

    def lost(self, channel: str, code: str) -> None:
        raise AssertionError(channel)


class Way:
    """A host and a gateway with rings of their own, and somebody who reads and writes to their Redis."""

    def __init__(self, local: LocalRuntime, hub: Hub, sealed: SealedBus, host_keys: KeyRing, keys: Keys) -> None:
        self.local = local
        self.hub = hub
        self.sealed = sealed
        self.host_keys = host_keys
        self.keys = keys
        self.redis: Redis
        self.spy: Any

    async def note(self, text: str) -> None:
        await self.local.client.ask("secret", "s", Note(text), actor=OWNER)

    async def add(self, by: int) -> None:
        await self.local.client.ask("counter", "c", Add(by), actor=OWNER)

    async def device(self) -> Device:
        device = Device()
        for channel in (SECRET, COUNTER):
            await self.hub.subscribe(device, channel, {}, None)
        return device


@asynccontextmanager
async def way(redis_url: str) -> AsyncIterator[Way]:
    keys = Keys()
    host_keys, gateway_keys = await keys.ring(), await keys.ring()
    async with await Bus.connect(redis_url) as out, await Bus.connect(redis_url) as into:
        journal = MemoryJournal(MemoryStore())
        publisher = BusPublisher(SealedBus(out, host_keys))
        sealed = SealedBus(into, gateway_keys)
        async with LocalRuntime(journal, journal, BOTH, publisher=publisher, keys=host_keys) as local:
            hub = Hub("gw", local.client, sealed, Entities())
            await hub.start()
            one = Way(local, hub, sealed, host_keys, keys)
            async with Redis.from_url(redis_url) as one.redis, one.redis.pubsub() as one.spy:
                await one.spy.psubscribe("*")
                await one.note("the first")
                await one.add(1)
                try:
                    yield one
                finally:
                    await hub.stop()
                    await sealed.close()


async def test_a_device_sees_what_whoever_reads_redis_does_not(redis_url: str) -> None:
    async with way(redis_url) as one:
        device = await one.device()
        await one.note("allergic to lidocaine")
        await one.add(2)
        await until(
            lambda: (
                device.views[SECRET]["texts"][-1] == "allergic to lidocaine" and device.views[COUNTER]["total"] == 3
            ),
            "both changes have come",
        )
        read = [message async for message in _all(one.spy)]
        assert len(read) == 2
        assert not [message for message in read for word in (b"lidocaine", b"secret", b"counter") if word in message]


async def test_a_rotation_of_keys_while_it_runs_loses_nothing(redis_url: str) -> None:
    async with way(redis_url) as one:
        device = await one.device()
        one.keys.stored[2], one.keys.current = b"n" * 32, 2
        await one.host_keys.refresh()
        for number in range(5):
            await one.note(f"after {number}")
        await until(lambda: device.views[SECRET]["texts"][-1] == "after 4", "read again, and then heard")
        assert one.sealed.refused
        refused = one.sealed.refused
        await one.note("by the new key")
        await until(lambda: device.views[SECRET]["texts"][-1] == "by the new key", "it is known by now")
        assert one.sealed.refused == refused


@pytest.mark.parametrize("disguise", [b"", b"\xc1\x01" + bytes(60)], ids=["in_clear", "as_if_sealed"])
@pytest.mark.parametrize(("kind", "entity_id"), [("secret", "s"), ("counter", "c")])
async def test_a_change_that_somebody_made_up_reaches_no_device(
    redis_url: str, kind: str, entity_id: str, disguise: bytes
) -> None:
    async with way(redis_url) as one:
        device = await one.device()
        patch = msgspec.msgpack.encode({"texts": ["no allergies"], "total": 1_000})
        forged = Change(kind, entity_id, 2, patch, (), "", b"", 0)
        await one.redis.publish(CHANNEL, disguise + msgspec.msgpack.encode([forged]))
        await until(lambda: one.sealed.refused == 1, "it has come")
        await one.note("the second")
        await until(lambda: device.views[SECRET]["texts"] == ["the first", "the second"], "the truth")
        assert device.views[COUNTER]["total"] == 1


async def test_what_people_show_of_themselves_is_sealed_too(redis_url: str) -> None:
    keys = Keys()
    async with await Bus.connect(redis_url) as out, await Bus.connect(redis_url) as into:
        buses = [SealedBus(bus, await keys.ring()) for bus in (out, into)]
        first, second = (Presence(f"gw-{number}", bus) for number, bus in enumerate(buses))
        async with Redis.from_url(redis_url) as redis, redis.pubsub() as spy:
            await spy.psubscribe("*")
            ann, ben = Tablet("ann"), Tablet("ben")
            first.enter(ann, ROOM)
            second.enter(ben, ROOM)
            first.show(ann, ROOM, {"typing": "lidocaine"}, conn_id="ann", device_id="d")
            await until(lambda: ben.shown() == {"ann": {"typing": "lidocaine"}}, "ben sees ann")
            read = [message async for message in _all(spy)]
            assert read
            assert not [one for one in read if b"lidocaine" in one or b"user-ann" in one or ROOM.encode() in one]
        await first.stop()
        await second.stop()
        for bus in buses:
            await bus.close()


async def _all(spy: Any) -> AsyncIterator[bytes]:
    while (message := await spy.get_message(timeout=0.2)) is not None:
        if message["type"] == "pmessage":
            yield message["data"]

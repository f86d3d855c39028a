"""Gateways that only do presence, on one fake bus that can lose messages, die and come back."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from actors.runtime.entity import Actor
from realtime.codec import JSON, Codec
from realtime.limits import DEFAULTS, Limits
from realtime.outbox import Key
from realtime.presence import Presence
from tests.realtime.entities import WALL_MS

ROOM = "room/0190a0b0-0000-7000-8000-00000000000a"


class FakeBus:
    """Messages go at once and in order. `away`: nothing goes, and who listened is told on `back`.

    `dropping` decides about each message whether it is lost without anybody noticing.
    """

    def __init__(self) -> None:
        self.away = False
        self.dropping: Callable[[], bool] = lambda: False
        self.published: list[tuple[str, bytes]] = []
        self._listening: list[FakeListening] = []

    def channels(self) -> set[str]:
        return {one.channel for one in self._listening}

    def publish(self, channel: str, payload: bytes) -> None:
        if self.away:
            return
        self.published.append((channel, payload))
        for one in list(self._listening):
            if one.channel == channel and not one.dead and not self.dropping():
                one.on_message(payload)

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> "FakeListening":
        await asyncio.sleep(0)
        one = FakeListening(self, channel, on_message, on_reconnect)
        self._listening.append(one)
        return one

    def forget(self, one: "FakeListening") -> None:
        if one in self._listening:
            self._listening.remove(one)

    def back(self) -> None:
        self.away = False
        for one in list(self._listening):
            if not one.dead:
                one.on_reconnect()


class FakeListening:
    def __init__(
        self, bus: FakeBus, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> None:
        self.bus = bus
        self.channel = channel
        self.on_message = on_message
        self.on_reconnect = on_reconnect
        self.dead = False

    async def close(self) -> None:
        self.bus.forget(self)


class _OwnBus:
    """One gateway's way to the common bus, cut when the gateway is killed."""

    def __init__(self, bus: FakeBus) -> None:
        self._bus = bus
        self._mine: list[FakeListening] = []
        self._dead = False

    def publish(self, channel: str, payload: bytes) -> None:
        if not self._dead:
            self._bus.publish(channel, payload)

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> FakeListening:
        one = await self._bus.subscribe(channel, on_message, on_reconnect)
        self._mine.append(one)
        return one

    def cut(self) -> None:
        self._dead = True
        for one in self._mine:
            one.dead = True


class Tablet:
    """One connection, and what it knows of who is there from the frames alone."""

    def __init__(self, name: str, codec: Codec = JSON) -> None:
        self.name = name
        self.codec = codec
        self.actor = Actor(f"user-{name}", ("provider",))
        self.frames: list[dict[str, Any]] = []
        self.people: dict[str, dict[str, Any]] = {}

    def deliver(self, frame: bytes, key: Key | None) -> None:
        message = json.loads(frame) if self.codec.text else self.codec_frame(frame)
        assert message["t"] == "presence", message
        assert message.get("joins") or message.get("updates") or message.get("leaves"), "an empty frame"
        self.frames.append(message)
        for one in message.get("joins", []):
            self.people[one["id"]] = one
        for one in message.get("updates", []):
            assert one["id"] in self.people, "an update of somebody who never came"
            self.people[one["id"]] = one
        for one in message.get("leaves", []):
            assert self.people.pop(one, None) is not None, "somebody left who never came"

    @staticmethod
    def codec_frame(frame: bytes) -> dict[str, Any]:
        raise AssertionError("tests read JSON")

    def lost(self, channel: str, code: str) -> None:
        raise AssertionError(channel)

    def shown(self) -> dict[str, dict[str, Any]]:
        return {one: there["state"] for one, there in self.people.items()}


class Town:
    """Several gateways, one clock, one bus."""

    def __init__(self, gateways: int = 2, limits: Limits = DEFAULTS) -> None:
        self.now = 1_000.0
        self.limits = limits
        self._pauses: list[tuple[float, asyncio.Future[None]]] = []
        self.bus = FakeBus()
        self.buses = [_OwnBus(self.bus) for _ in range(gateways)]
        self.gateways = [self._gateway(f"gw-{number}", bus) for number, bus in enumerate(self.buses)]
        self.alive = list(self.gateways)

    def _gateway(self, name: str, bus: _OwnBus) -> Presence:
        return Presence(
            name,
            bus,
            limits=self.limits,
            clock=lambda: self.now,
            wall=lambda: WALL_MS + int(self.now * 1000),
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        """A pause ends when `pass_time` has come so far."""
        over = asyncio.get_running_loop().create_future()
        self._pauses.append((self.now + seconds, over))
        await over

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for gateway in self.gateways:
            await gateway.stop()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.5)
            for due, over in self._pauses:
                if due <= self.now and not over.done():
                    over.set_result(None)
            self._pauses = [one for one in self._pauses if not one[1].done()]
            for gateway in self.alive:
                gateway.tick(self.now)
            await self.settle()

    async def enter(self, gateway: int, name: str, channel: str = ROOM) -> Tablet:
        tablet = Tablet(name)
        self.gateways[gateway].enter(tablet, channel)
        await self.settle()
        return tablet

    async def show(
        self, gateway: int, tablet: Tablet, state: dict[str, Any], channel: str = ROOM
    ) -> dict[str, Any] | None:
        refused = self.gateways[gateway].show(tablet, channel, state, conn_id=tablet.name, device_id="d")
        await self.settle()
        return None if refused is None else json.loads(JSON.encode(refused))

    def kill(self, gateway: int) -> None:
        """Without a word: it neither hears nor says anything any more."""
        self.buses[gateway].cut()
        self.alive.remove(self.gateways[gateway])

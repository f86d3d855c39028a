"""Groups of documents: each that joins is written down before it is shown, for each connection (C8)."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.runtime.entity import Actor
from domain.errors import Unavailable
from realtime.limits import DEFAULTS
from tests.realtime.fakes import House, settle
from tests.realtime.subscribing import subscribed

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENT = msgspec.structs.replace(DEFAULTS, ping_seconds=1_000_000.0)
CHARTS = "location/l1/documents"
QUEUE = "location/l1/cosign"
ROOMS = "location/l1/rooms"
CHART = "document/d1"


class Trail:
    """`realtime.ports.Witness` that keeps what it is told, unless it is `full`."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []
        self.full = False
        self.meanwhile: Callable[[], object] | None = None

    async def shown(self, actor: Actor, channel: str, device: str, correlation: str) -> None:
        assert device
        assert correlation
        if self.full:
            raise Unavailable("Too much waits to be audited.")
        self.kept.append((actor.subject, channel))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            await settle()

    async def refused(self, actor: Actor, channel: str, code: str, device: str, correlation: str) -> None:
        raise AssertionError((actor, channel, code, device, correlation))


class Ward(House):
    def __init__(self) -> None:
        self.trail = Trail()
        super().__init__(PATIENT, self.trail)

    async def follow(self, channel: str, who: str = "alice") -> Any:
        wire, client = await subscribed(self, channel, token=who)
        self.trail.kept.clear()
        return wire, client


@pytest.mark.parametrize("group", [CHARTS, QUEUE])
async def test_a_document_that_joins_is_in_the_trail_once_for_each_who_is_shown_it(group: str) -> None:
    async with Ward() as ward:
        alice, seen_by_alice = await ward.follow(group)
        bob, seen_by_bob = await ward.follow(group, "bob")
        for number in (1, 2, 3):
            ward.entities.put(CHART, {"n": number}, groups=(group,))
            await settle()
        assert sorted(ward.trail.kept) == [("alice", CHART), ("bob", CHART)]
        assert seen_by_alice.absorb(alice.take()).views == {CHART: {"n": 3}}
        assert seen_by_bob.absorb(bob.take()).views == {CHART: {"n": 3}}


async def test_what_cannot_be_written_down_is_not_shown_until_it_can() -> None:
    async with Ward() as ward:
        wire, seen = await ward.follow(CHARTS)
        ward.trail.full = True
        ward.entities.put(CHART, {"n": 1}, groups=(CHARTS,))
        await settle()
        assert seen.absorb(wire.take()).views == {}
        ward.trail.full = False
        ward.entities.put(CHART, {"n": 2}, groups=(CHARTS,))
        await settle()
        assert seen.absorb(wire.take()).views == {CHART: {"n": 2}}
        assert ward.trail.kept == [("alice", CHART)]


async def test_what_moves_on_while_it_is_written_down_is_written_down_once() -> None:
    async with Ward() as ward:
        wire, seen = await ward.follow(CHARTS)
        ward.trail.meanwhile = lambda: ward.entities.put(CHART, {"n": 2}, groups=(CHARTS,))
        ward.entities.put(CHART, {"n": 1}, groups=(CHARTS,))
        await settle()
        await settle()
        assert seen.absorb(wire.take()).views == {CHART: {"n": 2}}
        assert ward.trail.kept == [("alice", CHART)]


async def test_what_was_listed_is_not_written_down_again_when_it_changes() -> None:
    async with Ward() as ward:
        ward.entities.put(CHART, {"n": 1}, groups=(CHARTS,))
        wire, seen = await ward.follow(CHARTS)
        ward.entities.put(CHART, {"n": 2}, groups=(CHARTS,))
        await settle()
        assert seen.absorb(wire.take()).views == {CHART: {"n": 2}}
        assert ward.trail.kept == []


async def test_rooms_are_pushed_without_a_word_in_the_trail() -> None:
    async with Ward() as ward:
        wire, seen = await ward.follow(ROOMS)
        ward.entities.put("room/r1", {"n": 1}, groups=(ROOMS,))
        await settle()
        assert seen.absorb(wire.take()).views == {"room/r1": {"n": 1}}
        assert ward.trail.kept == []

"""Presence ends with the right to see the channel, as it ends with the subscription."""

import pytest

from actors.runtime.entity import Actor
from domain.errors import Unavailable
from realtime.channels import live
from realtime.ports import Credentials, Identity
from realtime.presence import Presence
from tests.realtime.entities import ref
from tests.realtime.fakes import House, Wire, settle
from tests.realtime.presences import ROOM, FakeBus
from tests.realtime.subscribing import subscribe


class Providers:
    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity(Actor(credentials.token, ("provider",)))


class Rooms(House):
    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence("gw", FakeBus(), clock=self.clock, wall=self.clock.wall, sleep=self._sleep)
        self.use(presence=self.presence, authenticator=Providers())
        self.entities.put(ROOM, {"n": 1})

    async def there(self, subject: str) -> Wire:
        """Somebody who shows themselves in the room."""
        wire = await self.connect(subject, scope=live(frozenset({"room"})))
        wire.feed(subscribe(ROOM))
        await settle()
        wire.feed({"t": "presence", "ch": ROOM, "state": {"section": "points"}})
        await settle()
        return wire


@pytest.mark.parametrize("end", ["the right ends", "a new subscription fails"])
async def test_who_loses_the_channel_is_not_there_and_sees_nobody(end: str) -> None:
    async with Rooms() as house:
        pia, quinn = await house.there("pia"), await house.there("quinn")
        if end == "the right ends":
            house.entities.hidden.add(("pia", ref(ROOM)))
            for _ in range(2):
                house.hub.renew_all()
                await settle(60)
        else:
            house.entities.failing = Unavailable("no host")
            pia.feed(subscribe(ROOM, ref=2))
            await settle(60)
        house.clock.now += 1.0
        pia.take()
        assert [one.subject for one in house.presence.channels[ROOM].people()] == ["quinn"]
        quinn.feed({"t": "presence", "ch": ROOM, "state": {"section": "notes"}})
        await settle(60)
        assert pia.take("presence") == []
        pia.hang_up()
        quinn.hang_up()
        await settle(60)
        assert not house.presence.channels
        await house.presence.stop()

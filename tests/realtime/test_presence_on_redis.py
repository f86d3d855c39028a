"""Presence between gateways over the real bus, also through a restart of Redis."""

import pytest

from realtime.presence import Presence
from storage.bus import Bus, BusLimits
from storage.embedded.redis import EmbeddedRedis
from tests.conditions import until
from tests.realtime.presences import ROOM, Tablet

pytestmark = pytest.mark.stack

QUICK = BusLimits(answer_s=0.5, quiet_s=0.2, backoff_max_s=0.1)


@pytest.fixture
def own_redis(tmp_path):
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_people_of_two_gateways_see_each_other_before_and_after_a_restart_of_redis(own_redis):
    async with await Bus.connect(own_redis.url, QUICK) as here, await Bus.connect(own_redis.url, QUICK) as there:
        first, second = Presence("gw-1", here), Presence("gw-2", there)
        ann, ben, cat = Tablet("ann"), Tablet("ben"), Tablet("cat")
        first.enter(ann, ROOM)
        second.enter(ben, ROOM)
        assert first.show(ann, ROOM, {"section": "points"}, conn_id="ann", device_id="d") is None
        await until(lambda: set(ben.people) == {"ann"}, "ben sees ann")

        own_redis.stop()
        assert second.show(ben, ROOM, {"section": "notes"}, conn_id="ben", device_id="d") is None
        await until(lambda: set(ben.people) == {"ann", "ben"}, "those of one gateway see each other meanwhile")
        own_redis.start()
        await until(lambda: set(ann.people) == {"ann", "ben"}, "both are back together")

        first.enter(cat, ROOM)
        await until(lambda: cat.shown() == {"ann": {"section": "points"}, "ben": {"section": "notes"}}, "cat sees both")
        await second.stop()
        await until(lambda: set(ann.people) == {"ann"}, "a gateway that stops takes its people along")
        await first.stop()
        assert here.subscriptions == there.subscriptions == []

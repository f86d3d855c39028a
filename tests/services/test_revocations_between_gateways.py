"""What one gateway takes back another refuses: heard by Redis, and read from Postgres where Redis has lost it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from actors.runtime.clock import SystemClock
from domain.ids import new_id
from services.accounts.revocations import CHANNEL, Revocations
from services.revocation_list import RevocationList
from storage.accounts.revocations import Ending, RevocationTables, up_to
from storage.bus import Bus
from storage.crypto import KeyRing
from storage.db import Database
from storage.sealed_bus import SealedBus
from tests.conditions import until

pytestmark = pytest.mark.stack

KEYS = KeyRing.ephemeral()
"""Of both gateways."""


@asynccontextmanager
async def gateway(database: Database, redis_url: str) -> AsyncIterator[Revocations]:
    """Put together as `serve.assembly` does it."""
    async with await Bus.connect(redis_url) as redis:
        bus = SealedBus(redis, KEYS)
        revocations = Revocations(RevocationTables(database), RevocationList(), SystemClock(), bus)
        await bus.subscribe(CHANNEL, revocations.heard, revocations.missed)
        await revocations.load()
        looking = asyncio.create_task(revocations.look_forever())
        try:
            yield revocations
        finally:
            looking.cancel()
            await bus.close()


async def test_news_reaches_another_gateway_by_redis_and_a_late_one_from_postgres(
    database_url: str, redis_url: str
) -> None:
    database, person = Database(database_url), new_id()
    try:
        async with gateway(database, redis_url) as here, gateway(database, redis_url) as there:
            await here.revoke_person(person, "suspended")
            await until(lambda: len(there.revoked) == 1, "the other gateway has heard", within_s=3)
            async with gateway(database, redis_url) as late:
                assert len(late.revoked) == 1
    finally:
        await database.close()


async def test_what_redis_never_carried_is_read_after_a_gap(database_url: str, redis_url: str) -> None:
    database, person = Database(database_url), new_id()
    try:
        alone = Revocations(RevocationTables(database), RevocationList(), SystemClock())
        async with gateway(database, redis_url) as there:
            await alone.outdate(person)
            there.missed()
            await until(lambda: len(there.revoked) == 1, "the gap is closed", within_s=3)
        assert [each.kind for each in await RevocationTables(database).recent()] == [Ending.OUTDATED]
    finally:
        await database.close()


async def test_whoever_writes_to_redis_takes_nothing_back(database_url: str, redis_url: str) -> None:
    database, person = Database(database_url), new_id()
    here = up_to(new_id(), Ending.ENDED, SystemClock().now_ms())
    ours = msgspec.msgpack.encode([here])
    made_up = msgspec.msgpack.encode([up_to(person, Ending.ENDED, SystemClock().now_ms())])
    try:
        async with gateway(database, redis_url) as there, await Bus.connect(redis_url) as stranger:
            stranger.publish(CHANNEL, made_up)
            SealedBus(stranger, KeyRing.ephemeral()).publish(CHANNEL, made_up)
            SealedBus(stranger, KEYS).publish(CHANNEL, ours)
            await until(lambda: len(there.revoked), "the last of the three has been heard", within_s=3)
            assert not there.revoked.add([here]), "it is the one of ours"
            assert len(there.revoked) == 1
    finally:
        await database.close()

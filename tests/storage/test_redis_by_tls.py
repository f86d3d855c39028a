"""Redis across a network: by TLS, as a user who may do what Atrium does and nothing else, as the docs say."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from services.accounts.revocations import CHANNEL
from services.reactions import CART_TOPIC, ORDER_TOPIC
from storage.bus import Bus, BusAway, BusLimits
from storage.embedded.redis import EmbeddedRedis
from storage.rate_limits import KEY_PREFIX, RedisCounters
from tests.conditions import until
from tests.docs.pages import ROOT
from tests.storage.key_service import certificate

pytestmark = pytest.mark.stack

QUICK = BusLimits(answer_s=2.0, backoff_max_s=0.1)
PASSWORD = "a/pass:word"
QUOTED = "a%2Fpass%3Aword"


def rules_of_the_docs() -> list[str]:
    """What `ACL SETUSER` is given on the page about running it."""
    page = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(r"ACL SETUSER atrium on '>…' (.*?)\n```", page, re.DOTALL)
    assert found is not None
    return found[1].replace("\\\n", " ").split()


class Door:
    """TLS in front of a Redis that speaks none."""

    def __init__(self, server: EmbeddedRedis, file: Path) -> None:
        self.server = server
        self.file = file
        self.port = 0

    def url(self, user: str = "atrium", password: str = QUOTED, trusted: bool = True) -> str:
        query = f"?ssl_ca_certs={self.file}" if trusted else ""
        return f"rediss://{user}:{password}@127.0.0.1:{self.port}/0{query}"

    async def let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.server.port is not None
        inner, out = await asyncio.open_connection("127.0.0.1", self.server.port)
        await asyncio.gather(_pipe(reader, out), _pipe(inner, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    try:
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", "atrium", "on", f">{PASSWORD}", *rules_of_the_docs())
            admin.execute_command("ACL", "SETUSER", "somebody", "on", ">other", "+@all", "~*", "resetchannels")
        one = Door(server, certificate(tmp_path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(one.file)
        listening = await asyncio.start_server(one.let_in, "127.0.0.1", 0, ssl=context)
        one.port = listening.sockets[0].getsockname()[1]
        yield one
        listening.close()
    finally:
        server.stop()


async def test_everything_that_is_asked_of_redis_works_by_tls_as_a_user_of_its_own(door: Door) -> None:
    heard: list[bytes] = []
    async with await Bus.connect(door.url(), QUICK) as bus:
        assert not bus.degraded
        for channel in ("atrium:gateway:one", "atrium:presence:3", CHANNEL):
            await bus.subscribe(channel, heard.append, lambda: None)
            bus.publish(channel, channel.encode())
        await until(lambda: len(heard) == 3, "all three are heard")
        for topic in (ORDER_TOPIC, CART_TOPIC):
            (entry,) = await bus.append(topic, [{"key": "k"}], 10)
            assert await bus.newest_id(topic) == entry
            await bus.join_group(topic, "g")
            (found,) = await bus.read_group(topic, "g", "c")
            assert await bus.claim_stale(topic, "g", "d", 0) == [found]
            await bus.acknowledge(topic, "g", [entry])
    counters = RedisCounters(door.url())
    assert (await counters.take("k", 10, 60, 4)).granted == 4
    await counters.close()


async def test_that_user_reaches_nothing_else_of_that_redis(door: Door) -> None:
    with redis.Redis(host="127.0.0.1", port=door.server.port or 0, username="atrium", password=PASSWORD) as client:
        client.hset(f"{KEY_PREFIX}mine", "at", 1)
        for command in (
            ("HSET", "another", "at", "1"),
            ("XADD", "another.events", "*", "k", "v"),
            ("DEL", f"{KEY_PREFIX}mine"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("KEYS", "*"),
            ("PUBLISH", "another", "x"),
            ("ACL", "LIST"),
            ("MONITOR",),
            ("REPLICAOF", "198.51.100.1", "6379"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


async def test_whoever_may_not_use_our_channels_neither_hears_nor_says_anything_there(door: Door) -> None:
    with redis.Redis(host="127.0.0.1", port=door.server.port or 0, username="somebody", password="other") as client:
        for command in (("PUBLISH", CHANNEL, "x"), ("SUBSCRIBE", "atrium:gateway:one"), ("PSUBSCRIBE", "*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


@pytest.mark.parametrize("wrong", [{"trusted": False}, {"password": "guessed"}, {"user": "nobody"}])
async def test_a_certificate_that_is_not_trusted_or_a_wrong_password_is_nothing_to_talk_to(
    door: Door, wrong: dict[str, object]
) -> None:
    async with await Bus.connect(door.url(**wrong), QUICK) as bus:  # type: ignore[arg-type]
        assert bus.degraded
        with pytest.raises(BusAway):
            await bus.ping()

"""Shared fixtures: one embedded Postgres and one Redis per session, a fresh database per test.

Mark tests that use them `stack`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import redis
import structlog
from hypothesis import HealthCheck, settings

from domain.ids import new_id
from storage import migrate
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.redis import EmbeddedRedis

_QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)
structlog.configure(wrapper_class=_QUIET)

# No test is timed: on a busy machine an example that is slow says nothing about the code.
settings.register_profile("atrium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atrium")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The session's Postgres; its database `atrium` is migrated and only ever copied from."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    try:
        asyncio.run(migrate.upgrade(server.url))
        yield server
    finally:
        server.stop()


@pytest.fixture
async def database_url(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database of this test's own."""
    name = "test_" + new_id().replace("-", "")
    admin = await asyncpg.connect(postgres_server.url_of("postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE atrium")
        yield postgres_server.url_of(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The URL of the session's Redis, emptied for this test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that sets up logging (a command's `main`) does not set it up for those after it."""
    yield
    structlog.reset_defaults()
    structlog.configure(wrapper_class=_QUIET)


# No test is timed: on a busy machine an example that is slow says nothing about the code.
settings.register_profile("atrium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atrium")

import os
import signal

import asyncpg
import pytest
import redis

from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.process import EmbeddedServerError, find_process, free_port, secret_file
from storage.embedded.redis import EmbeddedRedis

pytestmark = pytest.mark.stack


class Postgres:
    make = EmbeddedPostgres

    @staticmethod
    async def write(url):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        await connection.close()

    @staticmethod
    async def read(url):
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval("SELECT n FROM kept")
        finally:
            await connection.close()


class Redis:
    make = EmbeddedRedis

    @staticmethod
    async def write(url):
        with redis.Redis.from_url(url) as client:
            client.set("kept", 1)
            client.save()

    @staticmethod
    async def read(url):
        with redis.Redis.from_url(url) as client:
            return int(client.get("kept"))


@pytest.fixture(params=[Postgres, Redis], ids=["postgres", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def server(kind, tmp_path):
    one = kind.make(tmp_path / "server")
    one.start()
    yield one
    one.stop()


async def test_a_second_start_goes_on_with_the_data(kind, server):
    await kind.write(server.url)
    server.stop()
    assert server.pid is None
    server.start()
    assert await kind.read(server.url) == 1


async def test_a_start_after_kill_9_goes_on_with_the_data(kind, server):
    await kind.write(server.url)
    os.kill(server.pid, signal.SIGKILL)
    server.start()
    assert await kind.read(server.url) == 1


async def test_a_running_server_is_taken_over(kind, server):
    """Whoever started it was killed: the next start finds it alive."""
    await kind.write(server.url)
    heir = kind.make(server.folder)
    heir.start()
    assert (heir.pid, heir.port) == (server.pid, server.port)
    assert await kind.read(heir.url) == 1
    heir.stop()
    assert not server.alive()


async def test_a_running_server_on_another_port_is_moved(kind, server):
    await kind.write(server.url)
    heir = kind.make(server.folder, port=free_port())
    heir.start()
    assert heir.pid != server.pid
    assert await kind.read(heir.url) == 1
    heir.stop()


async def test_a_stale_pid_file_of_another_process_is_no_obstacle(kind, server):
    server.stop()
    name = "data/postmaster.pid" if kind is Postgres else "redis.pid"
    lines = [str(os.getpid()), str(server.folder), "0", str(server.port), "", "127.0.0.1", "0 0", "ready"]
    (server.folder / name).write_text("\n".join(lines if kind is Postgres else lines[:1]))
    server.start()
    assert server.pid != os.getpid()


def test_a_server_that_runs_is_found_without_being_touched(kind, server):
    observer = kind.make(server.folder)
    assert observer.find_running()
    assert observer.url == server.url
    server.stop()
    assert not kind.make(server.folder).find_running()


def test_stopping_twice_is_no_error(server):
    server.stop()
    server.stop()


def test_secrets_are_for_the_owner_only(server):
    path = server.folder / "password"
    assert path.stat().st_mode & 0o077 == 0
    assert secret_file(path) in server.url


async def test_a_wrong_password_is_refused(tmp_path, postgres_server, redis_server):
    url = postgres_server.url.replace(secret_file(postgres_server.folder / "password"), "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)
    url = redis_server.url.replace(secret_file(redis_server.folder / "password"), "wrong")
    with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


async def test_commits_are_synced_to_disk(database_url):
    connection = await asyncpg.connect(database_url)
    values = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    await connection.close()
    assert values == ["on", "on"]


def test_data_of_another_postgres_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match="17"):
        EmbeddedPostgres(tmp_path).start()


def test_a_taken_port_is_a_clear_error(kind, server, tmp_path):
    rival = kind.make(tmp_path / "rival", port=server.port)
    with pytest.raises(EmbeddedServerError, match=r"(?i)in use"):
        rival.start()
    assert not rival.alive()


def test_a_reused_pid_is_not_mistaken():
    assert find_process(os.getpid(), "postgres", "/data") is None
    assert find_process(2**22 + 1, "postgres", "/data") is None

"""The supervisor's work on servers that a test lets die."""

import os
import signal

import redis

from cluster.supervisor import Supervisor
from storage.embedded.redis import EmbeddedRedis
from tests.conditions import until


class Mortal:
    """Dies when told so; the next `failures` starts do not succeed."""

    def __init__(self) -> None:
        self.up = True
        self.failures = 0
        self.attempts = 0

    def alive(self) -> bool:
        return self.up

    def start(self) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise OSError("no space left")
        self.up = True


async def test_a_server_that_died_is_started_again_and_the_others_are_left_alone():
    died, other = Mortal(), Mortal()
    supervisor = Supervisor({"died": died, "other": other}, look_seconds=0.001)
    supervisor.start()
    died.up = False
    await until(lambda: died.up, "the server is up again")
    supervisor.stop()
    assert (died.attempts, other.attempts, supervisor.restarts) == (1, 0, 1)


async def test_a_start_that_fails_is_tried_again_and_keeps_nobody_else_waiting():
    stuck, died = Mortal(), Mortal()
    stuck.failures = 3
    supervisor = Supervisor({"stuck": stuck, "died": died}, look_seconds=0.001)
    supervisor.start()
    stuck.up = died.up = False
    await until(lambda: stuck.up and died.up, "both are up again")
    supervisor.stop()
    assert (stuck.attempts, died.attempts) == (4, 1)


async def test_nothing_is_started_after_the_stop():
    server = Mortal()
    supervisor = Supervisor({"server": server}, look_seconds=0.001)
    supervisor.start()
    supervisor.stop()
    server.up = False
    assert server.attempts == 0


def test_a_stop_without_a_start_is_no_error():
    Supervisor({}).stop()


async def test_a_killed_redis_comes_back_under_the_same_address(tmp_path):
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    url, pid = server.url, server.pid
    supervisor = Supervisor({"redis": server}, look_seconds=0.01)
    supervisor.start()
    try:
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.pid not in {None, pid}, "another process serves")
        with redis.Redis.from_url(url, retry_on_timeout=True) as client:
            await until(lambda: _answers(client), "it answers under the old address")
    finally:
        supervisor.stop()
        server.stop()


def _answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.ConnectionError:
        return False

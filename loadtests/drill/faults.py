"""What is done to a stack under load. Each returns when the doing is done, not when its effects have passed."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from actors.runtime.ray_cluster import add_host
from loadtests.drill import site
from loadtests.stack import Stack

ZOMBIE_SECONDS: Final = 8.0
"""A host that is suspended for so long has been fenced and replaced when it goes on."""
STORE_SUSPENDED_SECONDS: Final = 3.0
CRASH_MS_MAX: Final = 5_000.0
PLANNED_MS_MAX: Final = 1_000.0
"""Invariant 11: how long any one client may wait when a host is lost, and when one comes or goes as planned."""


class Fault(msgspec.Struct, frozen=True):
    """`what` is for people. `inflict` may raise `site.NoSuchProcessError`, `StackFailedError`, `TimeoutError`.

    `pause_ms_max` bounds the longest that any one client waited, where the house has promised a bound.
    """

    what: str
    inflict: Callable[[Stack], Awaitable[object]]
    pause_ms_max: float = math.inf


async def kill_host(stack: Stack) -> None:
    site.kill(site.workers(stack, site.HOST)[0])


async def suspend_host(stack: Stack) -> None:
    with site.suspended(site.workers(stack, site.HOST)[:1]):
        await asyncio.sleep(ZOMBIE_SECONDS)


async def kill_gateway(stack: Stack) -> None:
    site.kill(site.workers(stack, site.GATEWAY)[0])


async def kill_redis(stack: Stack) -> None:
    site.kill(site.redis(stack)[0])


async def kill_postgres(stack: Stack) -> None:
    site.kill(site.postgres(stack)[0])


async def suspend_redis(stack: Stack) -> None:
    with site.suspended(site.redis(stack)):
        await asyncio.sleep(STORE_SUSPENDED_SECONDS)


async def suspend_postgres(stack: Stack) -> None:
    with site.suspended(site.postgres(stack)):
        await asyncio.sleep(STORE_SUSPENDED_SECONDS)


async def change_hosts(stack: Stack) -> None:
    await add_host(stack.config)
    await stack.remove_host("host-1")
    await add_host(stack.config)


async def kill_everything(stack: Stack) -> None:
    await stack.kill()
    await stack.start()


FAULTS: Final[Mapping[str, Fault]] = {
    "host-kill": Fault("kill -9 of a host", kill_host, CRASH_MS_MAX),
    "host-zombie": Fault(f"a host suspended for {ZOMBIE_SECONDS:g} s", suspend_host, CRASH_MS_MAX),
    "gateway-kill": Fault("kill -9 of the gateway", kill_gateway),
    "redis-kill": Fault("kill -9 of Redis", kill_redis),
    "postgres-kill": Fault("kill -9 of Postgres", kill_postgres),
    "postgres-pause": Fault(f"Postgres suspended for {STORE_SUSPENDED_SECONDS:g} s", suspend_postgres),
    "redis-pause": Fault(f"Redis suspended for {STORE_SUSPENDED_SECONDS:g} s", suspend_redis),
    "rescale": Fault("a host added, another removed, both as planned", change_hosts, PLANNED_MS_MAX),
    "everything-kill": Fault("kill -9 of atrium up, and another start", kill_everything),
}
"""In the order of a drill; the last one leaves a stack of new processes behind."""

"""Durable commands through Ray: 200 callers in one gateway process, two hosts, add-line over 200 carts.

In the same run: the same hosts asked one Ray call per command with one commit each, and one Ray actor per cart.
Each has a database of its own on the same Postgres.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from actors.cart_commands import Clear, Create
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.ray_cluster import connect_client, init_ray, shutdown_ray, start_runtime, stop_runtime
from loadtests.baselines.actor_per_cart import start_actors, stop_actors
from loadtests.baselines.one_call_each import OneCallEach
from loadtests.bench.report import Metrics, Progress
from loadtests.closed_loop import closed_loop
from loadtests.core import CUSTOMER, add_line, cart_id
from loadtests.ground import CURRENCY, Catalog, make_catalog, temporary_postgres, temporary_redis
from loadtests.measure import LoadResult
from storage.migrate import upgrade

HOSTS: Final = 2
CALLERS: Final = 200
CARTS: Final = 200
ACTORS: Final = 20
"""Of the one-actor-per-cart peer: each is a process of some 55 MB, so 200 would be 11 GB."""
SECONDS: Final = 10.0
WARMUP_SECONDS: Final = 3.0
_CLEAR_EVERY: Final = 64

Ask = Callable[[str, Any], Awaitable[object]]


async def run(progress: Progress) -> Metrics:
    catalog = make_catalog()
    async with temporary_postgres() as url, temporary_redis() as redis_url:
        with progress.step("Schema, twice"):
            single_url = await _another_database(url, "one_call_each")
            await upgrade(url)
            await upgrade(single_url)
        async with _ray(progress) as keys:
            with progress.step(f"Atrium: {CALLERS} callers over {CARTS} carts"):
                ours = await _measure_ours(RuntimeConfig(url, redis_url, keys_dir=keys), catalog)
            _say(progress, ours)
            with progress.step("The same, one Ray call and one commit per command"):
                single = await _measure_one_call_each(RuntimeConfig(single_url, redis_url, keys_dir=keys), catalog)
            _say(progress, single)
            with progress.step(f"One Ray actor per cart, {ACTORS} carts"):
                actors = await _measure_actors(url, catalog)
            _say(progress, actors)
    return {
        "durable_commands_per_s": ours.per_second,
        "p99_ms": ours.p99_ms,
        "ratio_vs_one_call_each": round(ours.per_second / single.per_second, 2),
        "ratio_vs_actor_per_cart": round(ours.per_second / actors.per_second, 2),
        "p50_ms": ours.p50_ms,
        "errors": ours.errors,
        "one_call_each_per_s": single.per_second,
        "one_call_each_p99_ms": single.p99_ms,
        "actor_per_cart_per_s": actors.per_second,
        "actor_per_cart_p99_ms": actors.p99_ms,
    }


def _say(progress: Progress, result: LoadResult) -> None:
    progress.note(result.summary())


async def _another_database(url: str, name: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return url.rsplit("/", 1)[0] + f"/{name}"


@asynccontextmanager
async def _ray(progress: Progress) -> AsyncIterator[str]:
    """Ray, for the time of the block; gives a folder for the hosts' key."""
    with tempfile.TemporaryDirectory(prefix="atrium-ray-", ignore_cleanup_errors=True) as folder:
        with progress.step("Ray"):
            await asyncio.to_thread(init_ray, None, temp_dir=str(Path(folder)))
        try:
            yield str(Path(folder) / "keys")
        finally:
            await asyncio.to_thread(shutdown_ray)


async def _measure_ours(config: RuntimeConfig, catalog: Catalog) -> LoadResult:
    await start_runtime(config, HOSTS)
    client = await connect_client(config, "bench")
    try:

        async def ask(cart: str, command: Any) -> None:
            await client.ask("cart", cart, command, actor=CUSTOMER)

        return await _load(ask, catalog)
    finally:
        await client.close()
        await stop_runtime()


async def _measure_one_call_each(config: RuntimeConfig, catalog: Catalog) -> LoadResult:
    peer = OneCallEach(config, HOSTS)
    await peer.start()
    try:
        return await _load(lambda cart, command: peer.ask("cart", cart, command, actor=CUSTOMER), catalog)
    finally:
        peer.stop()


async def _load(ask: Ask, catalog: Catalog) -> LoadResult:
    carts = [cart_id(number) for number in range(CARTS)]
    await asyncio.gather(*(ask(cart, Create(CURRENCY, catalog.merchant_id)) for cart in carts))
    adds = [add_line(catalog, item) for item in range(len(catalog.items))]

    async def action(caller: int, done: int) -> None:
        command = Clear() if done % _CLEAR_EVERY == _CLEAR_EVERY - 1 else adds[done % len(adds)]
        await ask(carts[caller % CARTS], command)

    return await closed_loop(action, callers=CALLERS, seconds=SECONDS, warmup_seconds=WARMUP_SECONDS)


async def _measure_actors(url: str, catalog: Catalog) -> LoadResult:
    actors = await start_actors(url, [cart_id(number, "actor") for number in range(ACTORS)])
    try:

        async def action(caller: int, done: int) -> None:
            item = catalog.items[done % len(catalog.items)]
            await actors[caller % ACTORS].add_item.remote(item.id, 1, item.price_minor)

        return await closed_loop(action, callers=CALLERS, seconds=SECONDS, warmup_seconds=WARMUP_SECONDS)
    finally:
        stop_actors(actors)

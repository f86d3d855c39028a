"""Bytes of resident memory that one live cart takes: 100,000 carts of three lines in one host process.

Every cart has another owner, and its lines are three of 1,000 products, so that little can be shared.

The growth of the resident set between a warm, empty host and the full one, garbage collected at both ends,
divided by the carts. Everything the host keeps per cart counts, and what the allocator wastes too.
"""

import gc
from typing import Final

import psutil

from actors.runtime.entity import Actor
from domain.ids import derived_id
from loadtests.bench.report import Metrics, Progress
from loadtests.closed_loop import each_once
from loadtests.core import HOST, cart_id, core_runtime, fill_cart
from loadtests.ground import make_catalog, migrate_and_seed, temporary_postgres

CARTS: Final = 100_000
LINES: Final = 3
PRODUCTS: Final = 1_000
CALLERS: Final = 400
WARMUP_CARTS: Final = 2_000


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def run(progress: Progress, carts: int = CARTS) -> Metrics:
    catalog = make_catalog(PRODUCTS)
    async with temporary_postgres() as url:
        with progress.step("Postgres and schema"):
            await migrate_and_seed(url, catalog)
        async with core_runtime(url) as runtime:
            client, host = runtime.client, runtime.hosts[HOST]

            async def fill(number: int, series: str = "cart") -> None:
                owner = Actor(derived_id("loadtests", "owner", series, str(number)), ("customer",))
                cart = cart_id(number, series)
                await fill_cart(client, cart, catalog, LINES, actor=owner, first_item=number)

            with progress.step(f"{WARMUP_CARTS:,} carts to warm up, then out of memory again"):
                await each_once(lambda number: fill(number, "warm"), WARMUP_CARTS, callers=CALLERS)
                await host.residents.passivate([f"cart/{cart_id(number, 'warm')}" for number in range(WARMUP_CARTS)])
            before = _resident()
            with progress.step(f"{carts:,} live carts of {LINES} lines"):
                _, seconds = await each_once(fill, carts, callers=CALLERS)
            grown = _resident() - before
            status = host.status()
    live = status.live.get("cart", 0)
    if live != carts:
        raise RuntimeError(f"{live} carts are live instead of {carts}")
    return {
        "bytes_per_live_cart": round(grown / carts),
        "estimated_bytes_per_live_cart": round(status.live_bytes_estimate / carts),
        "live_carts": live,
        "commands_per_s": round(carts * (LINES + 1) / seconds),
    }

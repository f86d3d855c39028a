"""How fast cold carts come alive: snapshot and later journal rows read from Postgres, then the view answered.

Every cart is read once while it is not in memory. A snapshot was taken of each, and a line added after it; then
a new incarnation of the host starts with empty memory. `cold_p99_ms` is measured with few callers (what a
person waits), `activations_per_s` with many.
"""

from typing import Final

from loadtests.bench.report import Metrics, Progress
from loadtests.closed_loop import each_once
from loadtests.core import CUSTOMER, HOST, add_line, cart_id, core_runtime, fill_cart
from loadtests.ground import make_catalog, migrate_and_seed, temporary_postgres
from loadtests.measure import percentile

CARTS: Final = 20_000
LINES: Final = 3
WRITERS: Final = 400
WAITING_CALLERS: Final = 32
RUSHING_CALLERS: Final = 256


async def run(progress: Progress, carts: int = CARTS) -> Metrics:
    catalog = make_catalog()
    ids = [cart_id(number) for number in range(carts)]
    async with temporary_postgres() as url:
        with progress.step("Postgres and schema"):
            await migrate_and_seed(url, catalog)
        async with core_runtime(url) as runtime:
            client = runtime.client

            async def add_one_more(number: int) -> None:
                await client.ask("cart", ids[number], add_line(catalog, LINES), actor=CUSTOMER)

            async def read(number: int) -> None:
                answer = await client.read("cart", ids[number], actor=CUSTOMER)
                if answer.version != LINES + 2:
                    raise RuntimeError(f"a cart came back at version {answer.version}")

            with progress.step(f"{carts:,} carts, snapshots of them, one more line each"):
                await each_once(lambda number: fill_cart(client, ids[number], catalog, LINES), carts, callers=WRITERS)
                await runtime.hosts[HOST].residents.passivate([f"cart/{cart}" for cart in ids])
                await each_once(add_one_more, carts, callers=WRITERS)
            with progress.step("A new incarnation of the host"):
                runtime.hosts[HOST].fenced()  # as after a crash: memory is gone, nothing was written
                await runtime.start_host(HOST)
                await read(0)  # the client notices the new incarnation
            half = carts // 2
            with progress.step(f"Cold reads, {WAITING_CALLERS} callers"):
                waiting, _ = await each_once(lambda number: read(1 + number), half - 1, callers=WAITING_CALLERS)
            with progress.step(f"Cold reads, {RUSHING_CALLERS} callers"):
                rushing, seconds = await each_once(
                    lambda number: read(half + number), carts - half, callers=RUSHING_CALLERS
                )
            activated = runtime.hosts[HOST].status().activations
    if activated < carts:
        raise RuntimeError(f"only {activated} of {carts} reads were cold")
    return {
        "cold_p99_ms": round(percentile(sorted(waiting), 0.99) * 1000, 2),
        "cold_p50_ms": round(percentile(sorted(waiting), 0.50) * 1000, 2),
        "activations_per_s": round((carts - half) / seconds),
        "rushing_p99_ms": round(percentile(sorted(rushing), 0.99) * 1000, 2),
    }

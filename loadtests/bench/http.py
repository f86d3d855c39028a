"""Durable add-item over HTTP through the whole stack, beside the CRUD baseline on the same Postgres.

200 keep-alive connections in a generator process of its own; first over 200 carts, then all on one hot cart.
The baseline runs before the stack is started, so that neither takes the other's processor.
"""

from typing import Final

from domain.ids import new_id
from loadtests.apart import run_apart
from loadtests.baselines.crud_run import measure_crud
from loadtests.bench.on_stack import atrium_up
from loadtests.bench.report import Metrics, Progress
from loadtests.customer import PREFIX, Customer
from loadtests.ground import make_catalog, temporary_postgres
from loadtests.http_load import HttpPlan
from loadtests.measure import LoadResult
from loadtests.scripts import adding_to_each

CARTS: Final = 200
CONNECTIONS: Final = 200
SECONDS: Final = 15.0
WARMUP_SECONDS: Final = 3.0


async def run(progress: Progress) -> Metrics:
    catalog = make_catalog()
    async with temporary_postgres() as url:
        with progress.step("CRUD baseline: 200 carts, then one hot cart"):
            crud = await measure_crud(url, catalog, seconds=SECONDS)
        _say(progress, "spread", crud.spread)
        _say(progress, "hot", crud.hot)
        async with atrium_up(progress, catalog, database_url=url) as stack:
            token = stack.token(new_id())
            async with Customer(stack.base_url, token) as customer:
                carts = await customer.open_carts(CARTS + 1, catalog)

            async def load(cart_ids: list[str]) -> LoadResult:
                plan = HttpPlan(
                    base_urls=[stack.base_url],
                    scripts=adding_to_each(PREFIX, cart_ids, catalog),
                    connections=CONNECTIONS,
                    seconds=SECONDS,
                    warmup_seconds=WARMUP_SECONDS,
                    headers={"authorization": f"Bearer {token}"},
                )
                return await run_apart(plan)

            with progress.step("Atrium: 200 carts"):
                spread = await load(carts[:CARTS])
            _say(progress, "spread", spread)
            with progress.step("Atrium: one hot cart"):
                hot = await load(carts[CARTS:])
            _say(progress, "hot", hot)
    return {
        "requests_per_s": spread.per_second,
        "ratio_vs_crud_spread": round(spread.per_second / crud.spread.per_second, 2),
        "ratio_vs_crud_hot": round(hot.per_second / crud.hot.per_second, 2),
        "p99_ratio_hot": round(hot.p99_ms / crud.hot.p99_ms, 4),
        "p99_ms": spread.p99_ms,
        "hot_requests_per_s": hot.per_second,
        "hot_p99_ms": hot.p99_ms,
        "errors": spread.errors + hot.errors,
        "crud_spread_per_s": crud.spread.per_second,
        "crud_spread_p99_ms": crud.spread.p99_ms,
        "crud_hot_per_s": crud.hot.per_second,
        "crud_hot_p99_ms": crud.hot.p99_ms,
    }


def _say(progress: Progress, name: str, result: LoadResult) -> None:
    progress.note(f"{name}: {result.summary()}")

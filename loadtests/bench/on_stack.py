"""What the benchmarks of the whole stack share: Atrium up with a catalog, and a load with something happening in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from domain.ids import new_id
from loadtests.apart import run_apart
from loadtests.bench.report import Progress
from loadtests.clinic import Clinic, open_clinic
from loadtests.customer import PREFIX, Customer, Reconciled, journal_rows, reconcile
from loadtests.ground import Catalog, seed_catalog
from loadtests.http_load import HttpPlan
from loadtests.measure import LoadResult
from loadtests.scripts import adding_to_each
from loadtests.stack import Stack

SHOPPERS: Final = 64
"""Connections of a load with an incident, each with a cart of its own."""
SECONDS: Final = 20.0
WARMUP_SECONDS: Final = 3.0
INCIDENT_AFTER_SECONDS: Final = WARMUP_SECONDS + 6.0


@asynccontextmanager
async def atrium_up(
    progress: Progress, catalog: Catalog, *, database_url: str | None = None, hosts: int = 2
) -> AsyncIterator[Stack]:
    """A stack of its own with the catalog in it."""
    async with _up(progress, Stack(hosts=hosts, database_url=database_url)) as stack:
        await seed_catalog(stack.run.database_url, catalog)
        yield stack


@asynccontextmanager
async def clinic_up(progress: Progress, *, locations: int, rooms_each: int) -> AsyncIterator[tuple[Stack, Clinic]]:
    """A stack of its own with a clinic in it."""
    async with _up(progress, Stack()) as stack:
        with progress.step(f"{locations * rooms_each:,} rooms"):
            clinic = await open_clinic(
                stack.base_url, stack.run.database_url, stack.token, locations=locations, rooms_each=rooms_each
            )
        yield stack, clinic


@asynccontextmanager
async def _up(progress: Progress, stack: Stack) -> AsyncIterator[Stack]:
    with progress.step("Atrium up"):
        await stack.__aenter__()
    try:
        yield stack
    finally:
        with progress.step("Atrium down"):
            await stack.__aexit__(None, None, None)


async def shop_through(
    stack: Stack, catalog: Catalog, incident: Callable[[], Awaitable[None]], *, retry: bool
) -> tuple[LoadResult, Reconciled]:
    """People adding to their carts while `incident` happens; then every cart is counted, twice.

    Raises `RuntimeError` when the API and the journal do not agree on what is in the carts.
    """
    token = stack.token(new_id())
    async with Customer(stack.base_url, token) as customer:
        carts = await customer.open_carts(SHOPPERS, catalog)
        plan = HttpPlan(
            base_urls=[stack.base_url],
            scripts=adding_to_each(PREFIX, carts, catalog, clearing=False),
            connections=SHOPPERS,
            seconds=SECONDS,
            warmup_seconds=WARMUP_SECONDS,
            headers={"authorization": f"Bearer {token}"},
            retry=retry,
        )
        load = asyncio.create_task(run_apart(plan))
        try:
            await asyncio.sleep(INCIDENT_AFTER_SECONDS)
            await incident()
            result = await load
        finally:
            load.cancel()
        in_carts = await customer.quantities(carts)
    journaled = [rows - 1 for rows in await journal_rows(stack.run.database_url, carts)]
    if in_carts != journaled:
        raise RuntimeError(f"the API shows {sum(in_carts)} adds, the journal holds {sum(journaled)}")
    return result, reconcile(result.acknowledged, result.unresolved, in_carts)

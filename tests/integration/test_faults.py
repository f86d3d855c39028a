"""Parts of the installation are killed or moved while people shop; the count must be right to the last command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio

from actors.runtime.ray_cluster import add_host
from domain.ids import new_id
from loadtests.drill import site
from loadtests.drill.check import check
from loadtests.drill.crowd import Crowd, Size
from loadtests.ground import Catalog, make_catalog, seed_catalog
from loadtests.stack import Stack
from tests.conditions import until
from tests.integration.town import ON_THE_STACK, Town

pytestmark = ON_THE_STACK

SMALL = Size(shoppers=6, devices=4, sharers=2, witnesses=2, carts_each=3)
ENOUGH = 100
"""Commands before and after a fault."""


@pytest_asyncio.fixture(loop_scope="package")
async def catalog(stack: Stack) -> Catalog:
    catalog = make_catalog()
    await seed_catalog(stack.run.database_url, catalog)
    return catalog


@asynccontextmanager
async def shopping(stack: Stack, catalog: Catalog) -> AsyncIterator[Crowd]:
    """A crowd at work, around whatever happens in the block; then everything is counted."""
    subject = new_id()
    token = stack.token(subject)
    async with Crowd(stack.base_url, subject, token, catalog, SMALL) as crowd:
        await crowd.until_acknowledged(ENOUGH)
        yield crowd
        await crowd.until_acknowledged(ENOUGH)
        await crowd.rest()
        outcome = await check(crowd, stack.base_url, token, stack.run.database_url)
    assert outcome.violations == 0, outcome
    assert outcome.verdict.acknowledged >= 2 * ENOUGH
    assert outcome.verdict.unanswered == 0
    assert crowd.refused == {}


async def test_a_killed_host_loses_nothing_doubles_nothing_and_is_missed_for_less_than_five_seconds(
    stack: Stack, catalog: Catalog
):
    async with shopping(stack, catalog) as crowd:
        site.kill(site.workers(stack, site.HOST)[0])
    assert crowd.longest_pause_s < 5.0


async def test_a_killed_gateway_is_replaced_and_its_clients_come_back_by_themselves(stack: Stack, catalog: Catalog):
    async with shopping(stack, catalog) as crowd:
        site.kill(site.workers(stack, site.GATEWAY)[0])
    assert crowd.reconnects >= SMALL.devices + SMALL.witnesses


async def test_hosts_come_and_go_as_planned_without_refusing_anybody(stack: Stack, town: Town, catalog: Catalog):
    async with shopping(stack, catalog) as crowd:
        added = await add_host(stack.config)

        async def serves() -> bool:
            return added in set((await _owners(stack)).values())

        await until(serves, f"{added} owns shards", within_s=30)
        await stack.remove_host(added)
        assert added not in set((await _owners(stack)).values())
    assert crowd.repeats == 0
    assert crowd.longest_pause_s < 3.0


async def _owners(stack: Stack) -> dict[int, str]:
    from storage.journal.postgres import PostgresJournal

    async with PostgresJournal(stack.run.database_url) as journal:
        return dict(enumerate((await journal.shard_map()).owners))

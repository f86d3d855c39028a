"""Several who would do something at the same moment: they are all begun before the first can end."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import asyncpg

from tests.conditions import until

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'atrium-tables' AND wait_event_type = 'Lock'
"""


async def at_once(url: str, held: str, *attempts: Awaitable[Any]) -> list[Any]:
    """What becomes of each attempt; `held` is a statement whose locks all of them come to wait for."""
    connection, looking = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(held)
            begun = asyncio.gather(*attempts, return_exceptions=True)
            await until(lambda: _all_wait(looking, len(attempts)), "all of them wait")
        return await begun
    finally:
        await connection.close()
        await looking.close()


async def _all_wait(looking: asyncpg.Connection, count: int) -> bool:
    return bool(await looking.fetchval(_WAITING) == count)

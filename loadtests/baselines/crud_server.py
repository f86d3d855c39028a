"""Starts the CRUD baseline: schema and seed rows, then two uvicorn workers, until the context ends."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import insert

from loadtests.baselines.crud_schema import Cart, Product, engine_for, recreate
from services.tokens import TokenRules
from storage.embedded.process import free_port

WORKERS = 2
POOL_SIZE = 5
"""Connections per worker: of 3, 5, 10 and 20 the fastest on two cores, spread and hot."""
START_SECONDS_MAX = 30.0


async def seed(
    database_url: str,
    *,
    owner: str,
    merchant_id: str,
    carts: Sequence[str],
    products: Sequence[tuple[str, int]],
) -> None:
    """A fresh schema with these carts of `owner` and these (id, price in minor units) products."""
    engine = engine_for(database_url)
    await recreate(engine)
    merchant = uuid.UUID(merchant_id)
    async with engine.begin() as connection:
        await connection.execute(
            insert(Product),
            [
                {
                    "id": uuid.UUID(product),
                    "merchant_id": merchant,
                    "name": f"Product {number}",
                    "price_minor": price,
                    "currency": "EUR",
                    "available": True,
                }
                for number, (product, price) in enumerate(products)
            ],
        )
        await connection.execute(
            insert(Cart),
            [{"id": uuid.UUID(cart), "owner": owner, "merchant_id": merchant, "currency": "EUR"} for cart in carts],
        )
    await engine.dispose()


@asynccontextmanager
async def crud_server(
    database_url: str, public_key_pem: str, *, pool_size: int = POOL_SIZE
) -> AsyncIterator[list[str]]:
    """Run the workers; gives their base URLs. Raises `TimeoutError` when one does not come up.

    Each worker has a port of its own: behind a shared one the first to wake takes most of the connections,
    which costs the baseline half of its p99.
    """
    rules = TokenRules()
    environment = {
        **os.environ,
        "CRUD_DATABASE_URL": database_url,
        "CRUD_PUBLIC_KEY": public_key_pem,
        "CRUD_ISSUER": rules.issuer,
        "CRUD_AUDIENCE": rules.audience,
        "CRUD_POOL_SIZE": str(pool_size),
    }
    ports = [free_port() for _ in range(WORKERS)]
    processes = [await _start_worker(port, environment) for port in ports]
    try:
        base_urls = [f"http://127.0.0.1:{port}" for port in ports]
        for base_url in base_urls:
            await _ready(base_url)
        yield base_urls
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()


async def _start_worker(port: int, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "loadtests.baselines.crud_app:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--backlog", "4096"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        env=environment,
    )


async def _ready(base_url: str) -> None:
    async with asyncio.timeout(START_SECONDS_MAX), httpx.AsyncClient(base_url=base_url) as client:
        while True:
            try:
                await client.get("/openapi.json")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return

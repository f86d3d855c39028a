"""Starts the CRUD baseline: schema and seed rows, then two uvicorn workers, until the context ends."""

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import insert

from loadtests.baselines.crud_schema import Cart, Product, engine_for, recreate

WORKERS = 2
POOL_SIZE = 5
"""Connections per worker: of 3, 5, 10 and 20 the fastest on two cores, spread and hot."""
START_SECONDS_MAX = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
async def crud_server(database_url: str, public_key_pem: str, *, pool_size: int = POOL_SIZE) -> AsyncIterator[str]:
    """Run the baseline; gives its base URL. Raises `TimeoutError` when it does not come up."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "loadtests.baselines.crud_app:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS), "--backlog", "4096"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        env={
            **os.environ,
            "CRUD_DATABASE_URL": database_url,
            "CRUD_PUBLIC_KEY": public_key_pem,
            "CRUD_POOL_SIZE": str(pool_size),
        },
    )
    try:
        base_url = f"http://127.0.0.1:{port}"
        await _ready(base_url)
        yield base_url
    finally:
        process.terminate()
        await process.wait()


async def _ready(base_url: str) -> None:
    async with asyncio.timeout(START_SECONDS_MAX), httpx.AsyncClient(base_url=base_url) as client:
        while True:
            try:
                await client.get("/openapi.json")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return

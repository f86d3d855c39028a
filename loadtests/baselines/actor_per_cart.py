"""The other peer: one Ray actor per cart, as the Ray documentation suggests for stateful services.

Each actor keeps its cart in memory, writes one journal row per command before it answers, and recovers by
replaying its rows. One connection per actor; commands of one cart queue on its lock.
"""

import asyncio
import uuid
from typing import Any, Final

import asyncpg
import msgspec
import ray

SCHEMA_SQL: Final = """
DROP SCHEMA IF EXISTS actor_baseline CASCADE;
CREATE SCHEMA actor_baseline;
CREATE TABLE actor_baseline.journal (
    cart_id uuid NOT NULL,
    version bigint NOT NULL,
    command_id uuid NOT NULL UNIQUE,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cart_id, version)
);
"""
_INSERT: Final = "INSERT INTO actor_baseline.journal (cart_id, version, command_id, payload) VALUES ($1, $2, $3, $4)"
_REPLAY: Final = "SELECT version, payload FROM actor_baseline.journal WHERE cart_id = $1 ORDER BY version"


class CartActor:
    """One cart: quantities by product, journaled."""

    def __init__(self, cart_id: str, database_url: str) -> None:
        self._id = uuid.UUID(cart_id)
        self._url = database_url
        self._lock = asyncio.Lock()
        self._lines: dict[str, dict[str, Any]] = {}
        self._version = 0
        self._insert: Any = None

    async def start(self) -> int:
        """Connect and replay; gives the version."""
        connection = await asyncpg.connect(self._url)
        for row in await connection.fetch(_REPLAY, self._id):
            self._apply(msgspec.json.decode(row["payload"]), row["version"])
        self._insert = await connection.prepare(_INSERT)
        self._connection = connection
        return self._version

    async def add_item(self, product_id: str, quantity: int, price_minor: int) -> dict[str, Any]:
        """Durable before it is answered."""
        if not 0 < quantity <= 999:
            raise ValueError("quantity must be 1 to 999")
        event = {"product_id": product_id, "quantity": quantity, "price_minor": price_minor}
        async with self._lock:
            version = self._version + 1
            await self._insert.fetchval(self._id, version, uuid.uuid4(), msgspec.json.encode(event).decode())
            self._apply(event, version)
        total = sum(line["quantity"] * line["price_minor"] for line in self._lines.values())
        return {"id": str(self._id), "version": version, "items": self._lines, "subtotal": total}

    def _apply(self, event: dict[str, Any], version: int) -> None:
        line = self._lines.setdefault(event["product_id"], {"quantity": 0, "price_minor": event["price_minor"]})
        line["quantity"] += event["quantity"]
        self._version = version


async def start_actors(database_url: str, cart_ids: list[str]) -> list[Any]:
    """One started actor per cart, on the Ray cluster that this process is connected to."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(SCHEMA_SQL)
    await connection.close()
    actor_class = ray.remote(num_cpus=0)(CartActor)
    actors = [actor_class.remote(cart_id, database_url) for cart_id in cart_ids]
    await asyncio.gather(*(actor.start.remote() for actor in actors))
    return actors


def stop_actors(actors: list[Any]) -> None:
    for actor in actors:
        ray.kill(actor)

"""One customer of a running Atrium over HTTP: makes carts for a load, and reads what became of them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

import asyncpg
import httpx
import msgspec

from loadtests.ground import Catalog

PREFIX: Final = "/api/v1"
_AT_ONCE: Final = 16
_JOURNALED: Final = "SELECT id, count(*) FROM journal WHERE kind = 'cart' AND id = ANY($1) GROUP BY id"


class Customer:
    def __init__(self, base_url: str, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=base_url + PREFIX, headers=headers, timeout=30.0)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def open_carts(self, count: int, catalog: Catalog) -> list[str]:
        """Ids of new, empty carts. Raises `httpx.HTTPStatusError`."""

        async def one() -> str:
            async with self._gate:
                answer = await self._client.post("/carts/create", json={"merchant_id": catalog.merchant_id})
            return str(answer.raise_for_status().json()["id"])

        return await asyncio.gather(*(one() for _ in range(count)))

    async def quantities(self, cart_ids: Sequence[str]) -> list[int]:
        """How many things are in each cart, all lines together, as the API says."""

        async def one(cart_id: str) -> int:
            async with self._gate:
                answer = await self._client.get(f"/carts/{cart_id}")
            cart: dict[str, Any] = answer.raise_for_status().json()
            return sum(int(line["quantity"]) for line in cart["lines"].values())

        return await asyncio.gather(*(one(cart_id) for cart_id in cart_ids))


async def journal_rows(database_url: str, cart_ids: Sequence[str]) -> list[int]:
    """How many commands the journal holds of each cart."""
    connection = await asyncpg.connect(database_url)
    try:
        found = {row["id"]: int(row["count"]) for row in await connection.fetch(_JOURNALED, list(cart_ids))}
    finally:
        await connection.close()
    return [found.get(cart_id, 0) for cart_id in cart_ids]


class Reconciled(msgspec.Struct, frozen=True):
    """What clients saw acknowledged, held against what there is."""

    acknowledged: int
    lost: int
    duplicated: int


def reconcile(acknowledged: Sequence[int], unresolved: Sequence[int], present: Sequence[int]) -> Reconciled:
    """Cart by cart: `lost` were acknowledged and are not there; `duplicated` are there and were never asked for.

    A request without an answer may be there or not.
    """
    carts = list(zip(acknowledged, unresolved, present, strict=True))
    return Reconciled(
        acknowledged=sum(acknowledged),
        lost=sum(max(0, acked - there) for acked, _, there in carts),
        duplicated=sum(max(0, there - acked - unknown) for acked, unknown, there in carts),
    )

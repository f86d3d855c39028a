"""Lists of carts from their index rows. They read your own writes: rows are written in the cart's commit."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select, tuple_

from storage.db import Database
from storage.models import CartIndex
from storage.times import from_ms, to_ms


class CartRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One cart as it is listed. Times in ms."""

    id: str
    version: int
    owner: str
    merchant_id: str
    status: str
    created_at_ms: int
    updated_at_ms: int


class CartTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def carts(
        self,
        *,
        owner: str = "",
        merchant_id: str = "",
        statuses: Sequence[str] = (),
        after: tuple[int, str] | None = None,
        limit: int,
    ) -> list[CartRecord]:
        """Newest first, of an owner or a merchant ("" for any).

        `after` is (created_at_ms, id) of the last one of the page before.
        """
        query = select(CartIndex)
        if owner:
            query = query.where(CartIndex.owner == owner)
        if merchant_id:
            query = query.where(CartIndex.merchant_id == merchant_id)
        if statuses:
            query = query.where(CartIndex.status.in_(statuses))
        if after is not None:
            query = query.where(tuple_(CartIndex.created_at, CartIndex.id) < tuple_(from_ms(after[0]), after[1]))
        query = query.order_by(CartIndex.created_at.desc(), CartIndex.id.desc()).limit(limit)
        async with self._database.session() as session:
            return [
                CartRecord(
                    id=row.id,
                    version=row.version,
                    owner=row.owner,
                    merchant_id=row.merchant_id or "",
                    status=row.status,
                    created_at_ms=to_ms(row.created_at),
                    updated_at_ms=to_ms(row.updated_at),
                )
                for row in await session.scalars(query)
            ]

"""Lists of orders from their index rows. They read your own writes: rows are written in the order's commit."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, select, tuple_

from storage.db import Database
from storage.models import OrderIndex
from storage.times import from_ms, to_ms


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of one user, merchant or courier ("" for any). Times in ms, `until_ms` exclusive, 0 for none."""

    user_id: str = ""
    merchant_id: str = ""
    courier_id: str = ""
    statuses: tuple[str, ...] = ()
    since_ms: int = 0
    until_ms: int = 0


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as it is listed; `total_minor` in minor units of `currency`, times in ms."""

    id: str
    version: int
    user_id: str
    merchant_id: str
    status: str
    currency: str
    total_minor: int
    lines_count: int
    placed_at_ms: int
    updated_at_ms: int
    courier_id: str = ""
    cart_id: str = ""


class OrderCount(msgspec.Struct, frozen=True):
    """How many orders have a status, and the sum of their totals in minor units of `currency`."""

    status: str
    currency: str
    count: int
    total_minor: int


class OrderTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def orders(self, wanted: OrderFilter, after: tuple[int, str] | None, limit: int) -> list[OrderEntry]:
        """Newest first; `after` is (placed_at_ms, id) of the last one of the page before."""
        query = select(OrderIndex).where(*_conditions(wanted))
        if after is not None:
            place = tuple_(OrderIndex.placed_at, OrderIndex.id)
            query = query.where(place < tuple_(from_ms(after[0]), after[1]))
        query = query.order_by(OrderIndex.placed_at.desc(), OrderIndex.id.desc()).limit(limit)
        async with self._database.session() as session:
            return [_record(row) for row in await session.scalars(query)]

    async def counts(self, wanted: OrderFilter) -> list[OrderCount]:
        """By status and currency."""
        columns = (OrderIndex.status, OrderIndex.currency)
        query = (
            select(*columns, func.count(), func.sum(OrderIndex.total_minor))
            .where(*_conditions(wanted))
            .group_by(*columns)
            .order_by(*columns)
        )
        async with self._database.session() as session:
            found = (await session.execute(query)).all()
        return [OrderCount(status, currency, count, int(total)) for status, currency, count, total in found]


def _conditions(wanted: OrderFilter) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (OrderIndex.user_id, wanted.user_id),
        (OrderIndex.merchant_id, wanted.merchant_id),
        (OrderIndex.courier_id, wanted.courier_id),
    ):
        if value:
            conditions.append(column == value)
    if wanted.statuses:
        conditions.append(OrderIndex.status.in_(wanted.statuses))
    if wanted.since_ms:
        conditions.append(OrderIndex.placed_at >= from_ms(wanted.since_ms))
    if wanted.until_ms:
        conditions.append(OrderIndex.placed_at < from_ms(wanted.until_ms))
    return conditions


def _record(row: Any) -> OrderEntry:
    return OrderEntry(
        id=row.id,
        version=row.version,
        user_id=row.user_id,
        merchant_id=row.merchant_id,
        courier_id=row.courier_id or "",
        status=row.status,
        currency=row.currency,
        total_minor=row.total_minor,
        lines_count=row.lines_count,
        cart_id=row.cart_id or "",
        placed_at_ms=to_ms(row.placed_at),
        updated_at_ms=to_ms(row.updated_at),
    )

"""Rows of a person, table by table, as the registry says. For jobs: a statement may last."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, Table, and_, delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import TSVECTOR

from domain.times import to_rfc3339
from storage.crypto import KeyRing
from storage.db import Database
from storage.models import Base
from storage.privacy.registry import Personal
from storage.sealed_columns import column_place
from storage.times import to_ms

PAGE_ROWS: Final = 500
"""Rows read at a time: so much of an export is in memory."""

_NOT_SHOWN: Final = (LargeBinary, TSVECTOR)
_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {"text": bytes.decode, "msgpack": msgspec.msgpack.decode}


class PersonalTables:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def rows(self, entry: Personal, person: str) -> AsyncIterator[dict[str, Any]]:
        """Every row, by its key: times in RFC 3339, sealed columns opened, nothing hidden and no NULL."""
        table = _table(entry)
        keys = list(table.primary_key.columns)
        shown = shown_columns(entry)
        wanted = [*shown, *(table.c[name] for name in entry.opened)]
        condition = _condition(entry, person)
        after: tuple[Any, ...] = ()
        while True:
            query = select(*keys, *wanted).where(condition).order_by(*keys).limit(PAGE_ROWS)
            if after:
                query = query.where(tuple_(*keys) > tuple_(*after))
            async with self._database.session() as session:
                page = (await session.execute(query)).all()
            for row in page:
                yield await self._shown(entry, [column.name for column in wanted], tuple(row), len(keys))
            if len(page) < PAGE_ROWS:
                return
            after = tuple(page[-1])[: len(keys)]

    async def ids(self, entry: Personal, person: str) -> AsyncIterator[str]:
        """Of a live entity's rows, their ids."""
        table, after = _table(entry), ""
        while True:
            query = select(table.c.id).where(_condition(entry, person), table.c.id > after)
            async with self._database.session() as session:
                page = (await session.scalars(query.order_by(table.c.id).limit(PAGE_ROWS))).all()
            for each in page:
                yield each
            if len(page) < PAGE_ROWS:
                return
            after = page[-1]

    async def count(self, entry: Personal, person: str) -> int:
        query = select(func.count()).select_from(_table(entry)).where(_condition(entry, person))
        async with self._database.session() as session:
            return await session.scalar(query) or 0

    async def delete(self, entry: Personal, person: str) -> int:
        """How many rows there were."""
        statement = delete(_table(entry)).where(_condition(entry, person))
        async with self._database.session() as session:
            return (await session.execute(statement)).rowcount  # type: ignore[no-any-return, attr-defined]

    async def _shown(self, entry: Personal, names: Sequence[str], row: tuple[Any, ...], keys: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in zip(names, row[keys:], strict=True):
            if value is None:
                continue
            if name in entry.opened:
                found |= await self._opened(entry, name, row[0], value)
            else:
                found[name] = to_rfc3339(to_ms(value)) if isinstance(value, datetime) else value
        return found

    async def _opened(self, entry: Personal, column: str, key: str, sealed: bytes) -> Mapping[str, Any]:
        if self._keys.lacks(sealed):
            await self._keys.refresh()
        plain = _DECODERS[entry.opened[column]](self._keys.open(sealed, column_place(entry.table, column, key)))
        return plain if isinstance(plain, dict) else {column: plain}


def shown_columns(entry: Personal) -> list[Any]:
    """Columns of an export: all that are not hidden, sealed or only for machines."""
    return [
        column
        for column in _table(entry).columns
        if column.name not in entry.hidden
        and column.name not in entry.opened
        and not isinstance(column.type, _NOT_SHOWN)
    ]


def _table(entry: Personal) -> Table:
    return Base.metadata.tables[entry.table]


def _condition(entry: Personal, person: str) -> ColumnElement[bool]:
    return and_(text(entry.condition).bindparams(person=person))

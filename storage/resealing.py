"""Sealing again, under the current data key, what was sealed under an older one or left in clear, while all runs.

Rows are walked by their key, and those under another key are changed in place where they still are what was read:
a row that somebody changed meanwhile is left to them. Versions, positions and `xid` stay, so neither fences nor the
journal's tail notice. Each page is a transaction of its own; a walk that is broken off and begun again passes over
what is done.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from storage.crypto import OVERHEAD_BYTES, KeyRing, SealError, head_of, key_id_of
from storage.journal.connection import Connection, connect, store_errors
from storage.sealed_columns import SealedColumn

log = structlog.get_logger()

PAGE_ROWS: Final = 100
"""Rows read, and changed, at a time: a transaction that lasts holds up the journal's tail."""
STATEMENT_SECONDS: Final = 30.0
COUNT_SECONDS: Final = 3_600.0
"""Counting reads whole tables."""

IN_CLEAR: Final = 0
"""No data key has this id: what no key has sealed."""

_APPLICATION: Final = "atrium-reseal"


class Resealed(msgspec.Struct):
    """`damaged`: rows that no data key opens; they are left as they are, and logged."""

    walked: int = 0
    resealed: int = 0
    damaged: int = 0


Progress = Callable[[SealedColumn, Resealed], None]


async def reseal(
    url: str, keys: KeyRing, columns: Sequence[SealedColumn], progress: Progress | None = None
) -> Resealed:
    """Walk `columns` once, but for fixed ones. `progress` is told after each page.

    Raises `OSError`, `JournalError`, `EncryptionKeyError`.
    """
    total = Resealed()
    connection = await connect(url, _APPLICATION, STATEMENT_SECONDS)
    try:
        for column in columns:
            if column.fixed:
                continue
            after: tuple[Any, ...] = ()
            while rows := await _page(connection, column, after, keys.current):
                await _reseal_page(connection, keys, column, rows, total)
                after = tuple(rows[-1])[: len(column.key)]
                if progress is not None:
                    progress(column, total)
    finally:
        await connection.close()
    return total


async def key_usage(url: str, columns: Sequence[SealedColumn]) -> dict[int, int]:
    """How many sealed values there are by data key; under `IN_CLEAR` those that an older release did not seal.

    Reads all of them. Raises `OSError`, `JournalError`.
    """
    found: dict[int, int] = {}
    connection = await connect(url, _APPLICATION, COUNT_SECONDS)
    try:
        async with store_errors():
            for column in columns:
                for head, count in await connection.fetch(*_usage_statement(column)):
                    key_id = key_id_of(head.ljust(OVERHEAD_BYTES))
                    if key_id is None and column.once_clear:
                        key_id = IN_CLEAR
                    if key_id is not None:
                        found[key_id] = found.get(key_id, 0) + count
    finally:
        await connection.close()
    return found


async def _page(connection: Connection, column: SealedColumn, after: tuple[Any, ...], current: int) -> list[Any]:
    """Key, what else the place needs, and the value unless it is under the current key, of the next rows."""
    names = ", ".join(name for name, _ in column.key)
    values: list[Any] = [head_of(current)]
    conditions = []
    if column.kind:
        values.append(column.kind)
        conditions.append(f"kind = ${len(values)}")
    if after:
        places = ", ".join(f"${len(values) + number}" for number in range(1, len(after) + 1))
        conditions.append(f"({names}) > ({places})")
        values += after
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    wanted = ", ".join((names, *column.also))
    sql = (
        f"SELECT {wanted}, CASE WHEN substring({column.column} FROM 1 FOR 5) = $1 THEN NULL ELSE {column.column} END "  # noqa: S608 - names of this program only
        f"FROM {column.table} {where}ORDER BY {names} LIMIT {PAGE_ROWS}"
    )
    async with store_errors():
        return list(await connection.fetch(sql, *values))


async def _reseal_page(
    connection: Connection, keys: KeyRing, column: SealedColumn, rows: Sequence[Any], total: Resealed
) -> None:
    if any(row[-1] is not None and keys.lacks(row[-1]) for row in rows):
        await keys.refresh()
    changes = []
    for *place, sealed in rows:
        if sealed is None or key_id_of(sealed) == keys.current:
            continue
        aad = column.place(*place)
        in_clear = column.once_clear and key_id_of(sealed) is None
        try:
            fresh = keys.seal(sealed if in_clear else keys.open(sealed, aad), aad)
        except SealError as error:
            row = [value.hex() if isinstance(value, bytes) else value for value in place]
            log.warning("not_resealed", column=column.name, row=row, error=str(error))
            total.damaged += 1
        else:
            changes.append((*place[: len(column.key)], sealed, fresh))
    if changes:
        sql, fixed = _change_statement(column)
        async with store_errors():
            changed = await connection.fetch(sql, *(list(values) for values in zip(*changes, strict=True)), *fixed)
        total.resealed += len(changed)
    total.walked += len(rows)


def _change_statement(column: SealedColumn) -> tuple[str, list[Any]]:
    """Arrays of keys, of old and of new values, then what else it takes."""
    types = [*(type_ for _, type_ in column.key), "bytea", "bytea"]
    arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, 1))
    names = [*(name for name, _ in column.key)]
    same = " AND ".join(f"kept.{name} = given.{name}" for name in names)
    kind = f" AND kept.kind = ${len(types) + 1}" if column.kind else ""
    sql = (
        f"UPDATE {column.table} AS kept SET {column.column} = given.fresh "  # noqa: S608 - names of this program only
        f"FROM unnest({arrays}) AS given({', '.join(names)}, old, fresh) "
        f"WHERE {same}{kind} AND kept.{column.column} = given.old RETURNING 1"
    )
    return sql, [column.kind] if column.kind else []


def _usage_statement(column: SealedColumn) -> tuple[Any, ...]:
    sealed = f"octet_length({column.column}) >= {OVERHEAD_BYTES}"
    where = ("true" if column.once_clear else sealed) + (" AND kind = $1" if column.kind else "")
    sql = f"SELECT substring({column.column} FROM 1 FOR 5), count(*) FROM {column.table} WHERE {where} GROUP BY 1"  # noqa: S608 - names of this program only
    return (sql, column.kind) if column.kind else (sql,)

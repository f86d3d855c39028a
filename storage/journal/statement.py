"""One commit as one SQL statement: the fence and everything that hangs on it.

Every part reads from the CTE `fence`, which is empty when the lease is not current: then nothing is
written at all. One statement is one implicit transaction, so a commit costs one round trip and one fsync.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from storage.journal.interface import CommitRefused, Lease, NewRow, TimerDone
from storage.models import INDEX_TABLES

Column = tuple[str, str]
"""A column and its SQL type."""

_JOURNAL: Final[tuple[Column, ...]] = (
    ("shard", "smallint"),
    ("kind", "text"),
    ("id", "text"),
    ("version", "bigint"),
    ("command_id", "uuid"),
    ("command_hash", "bytea"),
    ("actor", "text"),
    ("device", "text"),
    ("correlation", "text"),
    ("time", "timestamptz"),
    ("payload", "bytea"),
)
_journal_values: Final = attrgetter(
    *("time_ms" if name == "time" else name for name, _ in _JOURNAL),
)
_REMINDER: Final[tuple[Column, ...]] = (
    ("kind", "text"),
    ("id", "text"),
    ("name", "text"),
    ("shard", "smallint"),
    ("due_at", "timestamptz"),
)
_REMOVAL: Final[tuple[Column, ...]] = (
    ("kind", "text"),
    ("id", "text"),
    ("name", "text"),
    ("due_at", "timestamptz"),
)
_SQL_TYPES: Final = {
    "Text": "text",
    "BigInteger": "bigint",
    "Integer": "integer",
    "SmallInteger": "smallint",
    "Boolean": "boolean",
    "DateTime": "timestamptz",
    "JSONB": "jsonb",
}
_INDEX: Final[dict[str, tuple[Column, ...]]] = {
    name: tuple((column.name, _SQL_TYPES[type(column.type).__name__]) for column in table.columns)
    for name, table in INDEX_TABLES.items()
}

_JSON: Final = "jsonb"
_encode = msgspec.json.Encoder().encode

_INSERT_JOURNAL = "journal"
_UPSERT_REMINDERS = "reminders"
_REMOVE_REMINDERS = "removals"


def commit_statement(lease: Lease, rows: Sequence[NewRow], done: Iterable[TimerDone]) -> tuple[str, list[Any]]:
    """The statement and its arguments. It answers 1, or 0 when the lease is not current.

    Raises `CommitRefused` for an index write to a table or column that does not exist.
    """
    parts: list[str] = []
    arguments: list[Any] = [lease.host, lease.epoch]
    if rows:
        parts.append(_INSERT_JOURNAL)
        arguments += _columns(map(_journal_values, rows))
    for table, newest in _index_writes(rows).items():
        parts.append(table)
        arguments += _columns(_index_values(table, row) for row in newest.values())
    upserts, removals = _reminder_writes(rows, done)
    if upserts:
        parts.append(_UPSERT_REMINDERS)
        arguments += _columns(upserts)
    if removals:
        parts.append(_REMOVE_REMINDERS)
        arguments += _columns(removals)
    return _sql(tuple(parts)), arguments


def _columns(records: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*records, strict=True)]


def _index_writes(rows: Iterable[NewRow]) -> dict[str, dict[str, NewRow]]:
    """table → id → the row with the newest version: one statement may touch an index row only once."""
    writes: dict[str, dict[str, NewRow]] = {}
    for row in rows:
        if row.index is not None:
            table = writes.setdefault(row.index.table, {})
            old = table.get(row.id)
            if old is None or old.version < row.version:
                table[row.id] = row
    return dict(sorted(writes.items()))


def _index_values(table: str, row: NewRow) -> list[Any]:
    columns = _INDEX.get(table)
    if columns is None or row.index is None:
        raise CommitRefused(f"{table} is no index table")
    given = {**row.index.columns, "id": row.id, "version": row.version}
    values = [given.pop(name, None) if kind != _JSON else _json(given.pop(name, None)) for name, kind in columns]
    if given:
        raise CommitRefused(f"{table} has no column {', '.join(sorted(given))}")
    return values


def _json(value: Any) -> str | None:
    return None if value is None else _encode(value).decode()


def _reminder_writes(
    rows: Iterable[NewRow], done: Iterable[TimerDone]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Upserts and removals, each reminder once. What a row of this batch writes is newer than any `done`."""
    last: dict[tuple[str, str, str], tuple[int, int | None]] = {}
    for row in rows:
        for write in row.reminders:
            last[row.kind, row.id, write.name] = (row.shard, write.due_ms)
    handled = {(timer.kind, timer.id, timer.name): timer.due_ms for timer in done}
    upserts = [(*key, shard, due) for key, (shard, due) in last.items() if due is not None]
    removals: list[tuple[Any, ...]] = [(*key, None) for key, (_, due) in last.items() if due is None]
    removals += [(*key, due) for key, due in handled.items() if key not in last]
    return upserts, removals


@lru_cache(maxsize=64)
def _sql(parts: tuple[str, ...]) -> str:
    """The statement for one combination of parts; there are few, and each is prepared once."""
    parameters = iter(range(3, 1000))
    ctes = ["fence AS MATERIALIZED (SELECT 1 FROM hosts WHERE host = $1 AND epoch = $2 FOR SHARE)"]
    ctes += [f"part_{number} AS ({_part(part, parameters)})" for number, part in enumerate(parts)]
    return f"WITH {', '.join(ctes)} SELECT count(*) FROM fence"  # noqa: S608 - names from the models


def _part(part: str, parameters: Iterable[int]) -> str:
    if part == _INSERT_JOURNAL:
        source = _unnest(_JOURNAL, parameters)
        return f"INSERT INTO journal ({_names(_JOURNAL)}) SELECT given.* FROM fence, {source}"  # noqa: S608
    if part == _REMOVE_REMINDERS:
        return (
            f"DELETE FROM reminders AS kept USING fence, {_unnest(_REMOVAL, parameters)} "  # noqa: S608
            "WHERE kept.kind = given.kind AND kept.id = given.id AND kept.name = given.name "
            "AND (given.due_at IS NULL OR kept.due_at = given.due_at)"
        )
    if part == _UPSERT_REMINDERS:
        return (
            f"INSERT INTO reminders ({_names(_REMINDER)}) "  # noqa: S608
            f"SELECT given.* FROM fence, {_unnest(_REMINDER, parameters)} "
            "ON CONFLICT (kind, id, name) DO UPDATE SET shard = excluded.shard, due_at = excluded.due_at"
        )
    columns = _INDEX[part]
    changes = ", ".join(f"{name} = excluded.{name}" for name, _ in columns if name != "id")
    return (
        f"INSERT INTO {part} AS kept ({_names(columns)}) "  # noqa: S608
        f"SELECT given.* FROM fence, {_unnest(columns, parameters)} "
        f"ON CONFLICT (id) DO UPDATE SET {changes} WHERE excluded.version > kept.version"
    )


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(name for name, _ in columns)


def _unnest(columns: Sequence[Column], parameters: Iterable[int]) -> str:
    arrays = ", ".join(f"${number}::{kind}[]" for (_, kind), number in zip(columns, parameters, strict=False))
    return f"unnest({arrays}) AS given({_names(columns)})"

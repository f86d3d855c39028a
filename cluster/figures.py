"""Figures of an installation that stand in its database: the journal, reactions, dead letters."""

import asyncpg
import msgspec


class ReactionLag(msgspec.Struct, frozen=True):
    """How far a reaction is behind the journal: rows not handled yet, and how old the oldest of them is."""

    name: str
    rows: int
    seconds: float
    retrying: int


class Figures(msgspec.Struct, frozen=True):
    journal_rows: int
    journal_bytes: int
    snapshots: int
    reminders_overdue: int
    dead_letters: int
    lags: tuple[ReactionLag, ...]


_COUNTS = """
SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'journal'::regclass) AS estimate,
       (SELECT coalesce(max(position), 0) FROM journal) AS journal_rows,
       pg_total_relation_size('journal') AS journal_bytes,
       (SELECT count(*) FROM snapshots) AS snapshots,
       (SELECT count(*) FROM reminders WHERE due_at < now() - interval '1 second') AS reminders_overdue,
       (SELECT count(*) FROM dead_letters) AS dead_letters
"""
_LAGS = """
SELECT c.name,
       (SELECT count(*) FROM reaction_retries r WHERE r.reaction = c.name) AS retrying,
       behind.rows, coalesce(extract(epoch FROM now() - behind.oldest), 0)::float8 AS seconds
FROM reaction_cursors c
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, min(j.time) AS oldest FROM (
        SELECT time FROM journal WHERE (xid, position) > (c.xid::text::xid8, c.position)
        ORDER BY xid, position LIMIT 100000
    ) j
) behind
ORDER BY c.name
"""


async def read_figures(url: str) -> Figures:
    """One round of queries on a connection of its own. Raises what asyncpg raises."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=30)
    try:
        counts = await connection.fetchrow(_COUNTS)
        lags = await connection.fetch(_LAGS)
    finally:
        await connection.close()
    assert counts is not None  # noqa: S101 - a SELECT without FROM has a row
    return Figures(
        journal_rows=counts["journal_rows"],
        journal_bytes=counts["journal_bytes"],
        snapshots=counts["snapshots"],
        reminders_overdue=counts["reminders_overdue"],
        dead_letters=counts["dead_letters"],
        lags=tuple(ReactionLag(row["name"], row["rows"], round(row["seconds"], 1), row["retrying"]) for row in lags),
    )

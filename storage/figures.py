"""What stands in the tables, counted: for metrics. Whole tables are read, so ask seldom."""

from typing import Final

import msgspec
from sqlalchemy import text

from storage.db import Database

_LAGS: Final = text("""
SELECT c.name,
       (SELECT count(*) FROM reaction_retries r WHERE r.reaction = c.name) AS retries,
       (SELECT count(*) FROM dead_letters d WHERE d.reaction = c.name) AS dead_letters,
       coalesce((
           SELECT extract(epoch FROM now() - j.time) FROM journal j
           WHERE (j.xid, j.position) > (c.xid::text::xid8, c.position) ORDER BY j.xid, j.position LIMIT 1
       ), 0)::float8 AS lag_seconds
FROM reaction_cursors c
""")
_COUNTS: Final = text("""
SELECT (SELECT count(*) FROM reminders WHERE due_at < now() - interval '1 second') AS reminders_overdue,
       (SELECT coalesce(sum(quarantined), 0) FROM provider_sessions WHERE quarantined > 0) AS quarantined,
       (SELECT coalesce(sum(conflicts_count), 0) FROM documents) AS conflicts
""")
_SESSIONS: Final = text("SELECT status, count(*) AS number FROM provider_sessions GROUP BY status")
_ROOMS: Final = text("SELECT status, count(*) AS number FROM room_status GROUP BY status")
_JOBS: Final = text("""
SELECT kind, status, count(*) AS number,
       coalesce(max(extract(epoch FROM now() - due_at)) FILTER (WHERE status = 'queued'), 0)::float8 AS waiting_seconds
FROM jobs WHERE status IN ('queued', 'running') OR finished_at >= now() - interval '24 hours' GROUP BY kind, status
""")
_ORDERS: Final = text("""
SELECT status, currency, count(*) AS number, sum(total_minor)::bigint AS total
FROM orders WHERE placed_at >= now() - interval '24 hours' GROUP BY status, currency
""")


class ReactionFigures(msgspec.Struct, frozen=True):
    """`lag_seconds`: how old the oldest row is that this reaction has not dealt with."""

    name: str
    lag_seconds: float
    retries: int
    dead_letters: int


class JobFigures(msgspec.Struct, frozen=True):
    """Jobs that wait, run, or ended in the last 24 hours; `waiting_seconds`: how long the oldest that is due waits."""

    kind: str
    status: str
    number: int
    waiting_seconds: float


class OrderFigures(msgspec.Struct, frozen=True):
    """Of the orders placed in the last 24 hours; `total_minor` in minor units of `currency`."""

    status: str
    currency: str
    number: int
    total_minor: int


class StoredFigures(msgspec.Struct, frozen=True, kw_only=True):
    reactions: tuple[ReactionFigures, ...]
    reminders_overdue: int
    quarantined: int
    conflicts: int
    sessions: dict[str, int]
    rooms: dict[str, int]
    orders: tuple[OrderFigures, ...]
    jobs: tuple[JobFigures, ...] = ()


class FigureTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> StoredFigures:
        """One transaction of a few counts. Raises `Unavailable`."""
        async with self._database.session() as session:
            lags = (await session.execute(_LAGS)).all()
            counts = (await session.execute(_COUNTS)).one()
            sessions = (await session.execute(_SESSIONS)).all()
            rooms = (await session.execute(_ROOMS)).all()
            orders = (await session.execute(_ORDERS)).all()
            jobs = (await session.execute(_JOBS)).all()
        return StoredFigures(
            reactions=tuple(ReactionFigures(row.name, row.lag_seconds, row.retries, row.dead_letters) for row in lags),
            reminders_overdue=counts.reminders_overdue,
            quarantined=int(counts.quarantined),
            conflicts=int(counts.conflicts),
            sessions={row.status: row.number for row in sessions},
            rooms={row.status: row.number for row in rooms},
            orders=tuple(OrderFigures(row.status, row.currency, row.number, row.total) for row in orders),
            jobs=tuple(JobFigures(row.kind, row.status, row.number, row.waiting_seconds) for row in jobs),
        )

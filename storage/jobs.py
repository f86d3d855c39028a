"""Jobs in Postgres. Every method is one transaction; leases go by the database's clock."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db import Database
from storage.models import Job
from storage.times import from_ms, to_ms

LIVE: Final = ("queued", "running")


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is kept. Times are milliseconds UTC, 0 for "not yet"; `result` is empty until it succeeded."""

    id: str
    kind: str
    key: str
    owner: str
    due_at_ms: int
    created_at_ms: int
    person: str = ""
    status: str = "queued"
    params: dict[str, Any] = {}
    done: int = 0
    total: int = 0
    step: str = ""
    checkpoint: dict[str, Any] = {}
    result: dict[str, Any] = {}
    error: str = ""
    attempts: int = 0
    cancel_wanted: bool = False
    holder: str = ""
    started_at_ms: int = 0
    finished_at_ms: int = 0

    @property
    def live(self) -> bool:
        return self.status in LIVE


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job has come. None: as it was."""

    done: int | None = None
    total: int | None = None
    step: str | None = None
    checkpoint: dict[str, Any] | None = None


class JobTables:
    """`services.jobs.store.JobStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: JobRecord) -> JobRecord:
        """The job, or the live one of its kind and key that was there before it."""
        values = {
            **{name: getattr(job, name) for name in ("id", "kind", "key", "owner", "params")},
            "person": job.person or None,
            "due_at": from_ms(job.due_at_ms),
            "created_at": from_ms(job.created_at_ms),
        }
        fresh = insert(Job).values(values).on_conflict_do_nothing().returning(Job.id)
        there = select(Job).where(Job.kind == job.kind, Job.key == job.key, Job.status.in_(LIVE))
        while True:
            async with self._database.session() as session:
                if (await session.execute(fresh)).first() is not None:
                    return job
                row = (await session.scalars(there)).first()
                if row is not None:
                    return _record(row)
            # It ended between the two statements: now there is room for the new one.

    async def job(self, job_id: str) -> JobRecord | None:
        async with self._database.session() as session:
            row = await session.get(Job, job_id)
        return None if row is None else _record(row)

    async def newest(self, kind: str, key: str) -> JobRecord | None:
        query = select(Job).where(Job.kind == kind, Job.key == key).order_by(Job.id.desc()).limit(1)
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else _record(row)

    async def jobs(self, owner: str, before_id: str, limit: int) -> Sequence[JobRecord]:
        """Newest first; `owner` "" is everybody."""
        query = select(Job).order_by(Job.id.desc()).limit(limit)
        if owner:
            query = query.where(Job.owner == owner)
        if before_id:
            query = query.where(Job.id < before_id)
        async with self._database.session() as session:
            return [_record(row) for row in (await session.scalars(query)).all()]

    async def cancel(self, job_id: str, now_ms: int, *, begun: bool = True) -> JobRecord | None:
        """A queued job ends at once, a running one as soon as it looks; one that has ended stays as it is.

        `begun` False: so does one that an attempt has been made at.
        """
        async with self._database.session() as session:
            row = await session.get(Job, job_id, with_for_update=True)
            if row is None:
                return None
            if row.attempts and not begun:
                return _record(row)
            if row.status == "queued":
                row.status, row.finished_at = "cancelled", from_ms(now_ms)
            elif row.status == "running":
                row.cancel_wanted = True
            return _record(row)

    async def claim(self, kinds: Collection[str], holder: str, lease_s: float, limit: int) -> Sequence[JobRecord]:
        """Take up jobs that are due, and running ones whose holder has not renewed its lease: it died."""
        free = or_(Job.held_until.is_(None), Job.held_until < func.now())
        due = (
            select(Job.id)
            .where(Job.status.in_(LIVE), Job.kind.in_(kinds), Job.due_at <= func.now(), free)
            .order_by(Job.due_at, Job.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(Job)
            .where(Job.id.in_(due.scalar_subquery()))
            .values(
                status="running",
                holder=holder,
                held_until=func.now() + timedelta(seconds=lease_s),
                attempts=Job.attempts + 1,
                started_at=func.coalesce(Job.started_at, func.now()),
            )
            .returning(Job)
        )
        async with self._database.session() as session:
            return [_record(row) for row in (await session.scalars(taken)).all()]

    async def advance(self, job_id: str, holder: str, lease_s: float, progress: Advance) -> JobRecord | None:
        """Renew the lease and write down how far it has come; None: it is not this holder's any more."""
        values: dict[str, Any] = {
            name: value for name in Advance.__struct_fields__ if (value := getattr(progress, name)) is not None
        }
        values["held_until"] = func.now() + timedelta(seconds=lease_s)
        statement = update(Job).where(_held(job_id, holder)).values(values).returning(Job)
        async with self._database.session() as session:
            row = (await session.scalars(statement)).first()
            return None if row is None else _record(row)

    async def again(self, job_id: str, holder: str, pause_s: float, error: str) -> bool:
        """Put a job that failed back into the queue; False: it is not this holder's any more."""
        return await self._end(
            job_id,
            holder,
            status="queued",
            holder=None,
            held_until=None,
            error=error,
            due_at=func.now() + timedelta(seconds=pause_s),
        )

    async def finish(
        self, job_id: str, holder: str, status: str, now_ms: int, *, error: str = "", result: dict[str, Any] | None
    ) -> bool:
        """`succeeded`, `failed` or `cancelled`; False: it is not this holder's any more, and stays as it is."""
        return await self._end(
            job_id,
            holder,
            status=status,
            holder=None,
            held_until=None,
            error=error,
            result=result,
            finished_at=from_ms(now_ms),
        )

    async def _end(self, job_id: str, of: str, /, **values: Any) -> bool:
        statement = update(Job).where(_held(job_id, of)).values(values).returning(Job.id)
        async with self._database.session() as session:
            return await _found(session, statement)


def _held(job_id: str, holder: str) -> Any:
    return and_(Job.id == job_id, Job.holder == holder, Job.status == "running")


async def _found(session: AsyncSession, statement: Any) -> bool:
    return (await session.execute(statement)).first() is not None


def _record(row: Job) -> JobRecord:
    same = ("id", "kind", "key", "owner", "status", "params", "done", "total", "step", "checkpoint", "error")
    return JobRecord(
        **{name: getattr(row, name) for name in same},
        person=row.person or "",
        result=row.result or {},
        attempts=row.attempts,
        cancel_wanted=row.cancel_wanted,
        holder=row.holder or "",
        due_at_ms=to_ms(row.due_at),
        created_at_ms=to_ms(row.created_at),
        started_at_ms=0 if row.started_at is None else to_ms(row.started_at),
        finished_at_ms=0 if row.finished_at is None else to_ms(row.finished_at),
    )

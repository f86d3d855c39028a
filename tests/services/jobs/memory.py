"""Jobs in memory: the same contract as the tables'."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from services.lookups import Clock
from storage.jobs import Advance, JobRecord

_replace = msgspec.structs.replace


class MemoryJobs:
    """`services.jobs.store.JobStore`; leases go by `clock`."""

    def __init__(self, clock: Clock) -> None:
        self.rows: dict[str, JobRecord] = {}
        self._clock = clock
        self._until: dict[str, float] = {}

    async def add(self, job: JobRecord) -> JobRecord:
        for row in self.rows.values():
            if (row.kind, row.key) == (job.kind, job.key) and row.live:
                return row
        self.rows[job.id] = job
        return job

    async def job(self, job_id: str) -> JobRecord | None:
        return self.rows.get(job_id)

    async def newest(self, kind: str, key: str) -> JobRecord | None:
        found = [row for row in self.rows.values() if (row.kind, row.key) == (kind, key)]
        return max(found, key=lambda row: row.id, default=None)

    async def jobs(self, owner: str, before_id: str, limit: int) -> Sequence[JobRecord]:
        rows = sorted(self.rows.values(), key=lambda row: row.id, reverse=True)
        return [row for row in rows if owner in {"", row.owner} and (not before_id or row.id < before_id)][:limit]

    async def cancel(self, job_id: str, now_ms: int, *, begun: bool = True) -> JobRecord | None:
        row = self.rows.get(job_id)
        if row is None:
            return None
        if row.attempts and not begun:
            return row
        if row.status == "queued":
            row = _replace(row, status="cancelled", finished_at_ms=now_ms)
        elif row.status == "running":
            row = _replace(row, cancel_wanted=True)
        self.rows[job_id] = row
        return row

    async def claim(self, kinds: Collection[str], holder: str, lease_s: float, limit: int) -> Sequence[JobRecord]:
        now, taken = self._clock.now_ms(), []
        for row in sorted(self.rows.values(), key=lambda row: (row.due_at_ms, row.id)):
            due = row.live and row.kind in kinds and row.due_at_ms <= now and self._until.get(row.id, 0) < now
            if due and len(taken) < limit:
                begun = row.started_at_ms or now
                taken.append(
                    _replace(row, status="running", holder=holder, attempts=row.attempts + 1, started_at_ms=begun)
                )
                self._until[row.id] = now + lease_s * 1_000
        self.rows |= {row.id: row for row in taken}
        return taken

    async def advance(self, job_id: str, holder: str, lease_s: float, progress: Advance) -> JobRecord | None:
        row = self._held(job_id, holder)
        if row is None:
            return None
        given = {name: value for name, value in msgspec.structs.asdict(progress).items() if value is not None}
        self._until[job_id] = self._clock.now_ms() + lease_s * 1_000
        self.rows[job_id] = _replace(row, **given)
        return self.rows[job_id]

    async def again(self, job_id: str, holder: str, pause_s: float, error: str) -> bool:
        due = self._clock.now_ms() + int(pause_s * 1_000)
        return self._end(job_id, holder, status="queued", holder="", error=error, due_at_ms=due)

    async def finish(
        self, job_id: str, holder: str, status: str, now_ms: int, *, error: str = "", result: dict[str, Any] | None
    ) -> bool:
        ended = {"status": status, "error": error, "result": result or {}, "finished_at_ms": now_ms}
        return self._end(job_id, holder, holder="", **ended)

    def _held(self, job_id: str, holder: str) -> JobRecord | None:
        row = self.rows.get(job_id)
        return row if row is not None and row.status == "running" and row.holder == holder else None

    def _end(self, job_id: str, of: str, /, **values: Any) -> bool:
        row = self._held(job_id, of)
        if row is None:
            return False
        self._until.pop(job_id, None)
        self.rows[job_id] = _replace(row, **values)
        return True

"""The reactor's part in jobs: it claims what is due and has it run, and sees to what is due by the calendar."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Final

import structlog

from domain.ids import new_id
from domain.times import SECOND_MS
from services.accounts.limits import DEFAULTS as ACCOUNTS
from services.jobs.limits import DEFAULTS, JobLimits
from services.jobs.service import Jobs
from services.jobs.store import JobStore
from services.lookups import Clock
from services.privacy import erasure, retention
from services.privacy.limits import DEFAULTS as PRIVACY
from services.privacy.limits import PrivacyLimits
from storage.jobs import JobRecord
from storage.privacy.records import PrivacyTables

log = structlog.get_logger("jobs")

BY_CALENDAR: Final = "system"
"""The owner of jobs that nobody asked for."""

Execute = Callable[[JobRecord, str], Awaitable[None]]
"""Runs a claimed job to its end, somewhere. Whether it failed is in the job; raises if its process died."""


class JobBoard:
    """Several boards may look at the same jobs: a job is claimed by one."""

    def __init__(
        self, store: JobStore, kinds: Collection[str], execute: Execute, holder: str, limits: JobLimits = DEFAULTS
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._execute = execute
        self._holder = holder
        self._limits = limits
        self._running: set[asyncio.Task[None]] = set()

    async def run_forever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:
                log.warning("jobs_not_looked_at", error=type(error).__name__)
            await asyncio.sleep(self._limits.poll_seconds)

    async def look(self) -> int:
        """Claim as many as there is room for, and have them run; how many those are."""
        room = self._limits.running_max - len(self._running)
        if room <= 0:
            return 0
        # Each time another one: an attempt whose lease ran out, and which lives, is not taken for the next attempt.
        holder = f"{self._holder}/{new_id()}"
        claimed = await self._store.claim(self._kinds, holder, self._limits.lease_seconds, room)
        for job in claimed:
            log.info("job_taken_up", job=job.id, kind=job.kind, attempt=job.attempts)
            task = asyncio.get_running_loop().create_task(self._run(job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(claimed)

    async def settled(self) -> None:
        """Return when nothing that was claimed here runs any more."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _run(self, job: JobRecord) -> None:
        try:
            await self._execute(job, job.holder)
        except Exception as error:  # its lease runs out, and somebody takes it up
            log.warning("job_process_died", job=job.id, kind=job.kind, error=type(error).__name__)


class Calendar:
    """What is due without anybody asking: accounts whose grace is over, and the day's retention."""

    def __init__(self, jobs: Jobs, records: PrivacyTables, clock: Clock, limits: PrivacyLimits = PRIVACY) -> None:
        self._jobs = jobs
        self._records = records
        self._clock = clock
        self._limits = limits

    async def run_forever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:
                log.warning("calendar_not_looked_at", error=type(error).__name__)
            await asyncio.sleep(self._limits.housekeeping_seconds)

    async def look(self) -> None:
        """Start what is due; what runs already, or has run today, is not started again."""
        now = self._clock.now_ms()
        before = now - ACCOUNTS.deletion_grace_seconds * SECOND_MS
        for user_id in await self._records.due_erasures(before, self._limits.erasures_per_look_max):
            await self._jobs.start(erasure.KIND, user_id, owner=BY_CALENDAR, person=user_id)
        day = datetime.fromtimestamp(now / SECOND_MS, UTC).date().isoformat()
        await self._jobs.start(retention.KIND, day, owner=BY_CALENDAR, params={"dry_run": False}, once=True)

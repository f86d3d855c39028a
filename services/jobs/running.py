"""Running a job: its lease is renewed beside it, it is told to stop, and what fails is tried again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from services.jobs.limits import DEFAULTS, JobLimits
from services.jobs.store import JobStore
from services.lookups import Clock
from storage.jobs import Advance, JobRecord

log = structlog.get_logger("services.jobs")


class JobCancelledError(Exception):
    """Somebody called the job off."""


class JobLostError(Exception):
    """Another process runs the job by now: what is done here counts for nothing any more."""


class Work:
    """One attempt at a job, as its handler sees it. `job.checkpoint` is what an earlier attempt kept."""

    def __init__(self, job: JobRecord, store: JobStore, holder: str, limits: JobLimits) -> None:
        self.job = job
        self._store = store
        self._holder = holder
        self._limits = limits
        self.ended: JobCancelledError | JobLostError | None = None
        """Why it was ended between two calls of `advance`."""

    async def advance(
        self,
        *,
        done: int | None = None,
        total: int | None = None,
        step: str | None = None,
        checkpoint: dict[str, Any] | None = None,
    ) -> None:
        """Write down how far it has come. To be called between steps that may be the last.

        Raises `JobCancelledError`, `JobLostError`.
        """
        progress = Advance(done=done, total=total, step=step, checkpoint=checkpoint)
        found = await self._store.advance(self.job.id, self._holder, self._limits.lease_seconds, progress)
        if found is None:
            raise JobLostError
        self.job = found
        if found.cancel_wanted:
            raise JobCancelledError


Handler = Callable[[Work], Awaitable[dict[str, Any]]]
"""Returns the job's result: ids and counts. Whatever it did before a kill, it may be asked to do again."""


class JobRunner:
    """Runs claimed jobs in this process."""

    def __init__(
        self, store: JobStore, handlers: Mapping[str, Handler], clock: Clock, limits: JobLimits = DEFAULTS
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._clock = clock
        self._limits = limits

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    async def run_due(self, holder: str, limit: int = 1) -> int:
        """Claim what is due and run it, one after the other; how many there were."""
        claimed = await self._store.claim(self.kinds, holder, self._limits.lease_seconds, limit)
        for job in claimed:
            await self.run(job, holder)
        return len(claimed)

    async def run(self, job: JobRecord, holder: str) -> None:
        """Run a job that `holder` has claimed, and write down what came of it."""
        if job.attempts > self._limits.attempts_max:
            await self._finish(job, holder, "failed", error=job.error or "process_died")
            return
        work = Work(job, self._store, holder, self._limits)
        doing = asyncio.ensure_future(self._handlers[job.kind](work))
        beating = asyncio.get_running_loop().create_task(self._beat(work, doing))
        try:
            try:
                result = await doing
            except asyncio.CancelledError:
                if work.ended is None:
                    raise  # this process ends: another one takes the job up when the lease is over
                raise work.ended from None
        except JobCancelledError:
            await self._finish(job, holder, "cancelled")
        except JobLostError:
            log.warning("job_lost", job=job.id, kind=job.kind)
        except Exception as error:
            await self._failed(job, holder, error)
        else:
            await self._finish(job, holder, "succeeded", result=result)
        finally:
            beating.cancel()
            doing.cancel()

    async def _beat(self, work: Work, doing: "asyncio.Future[Any]") -> None:
        """Renew the lease for as long as the work lasts; end it when it is lost or called off."""
        while True:
            await asyncio.sleep(self._limits.lease_seconds / 3)
            try:
                await work.advance()
            except (JobCancelledError, JobLostError) as ended:
                work.ended = ended
                doing.cancel()
                return
            except Exception as error:
                log.warning("job_lease_not_renewed", job=work.job.id, error=type(error).__name__)

    async def _failed(self, job: JobRecord, holder: str, error: Exception) -> None:
        name = type(error).__name__
        log.warning("job_attempt_failed", job=job.id, kind=job.kind, attempt=job.attempts, error=name)
        if job.attempts >= self._limits.attempts_max:
            await self._finish(job, holder, "failed", error=name)
        else:
            pause = self._limits.backoff_seconds * 2 ** (job.attempts - 1)
            await self._store.again(job.id, holder, pause, name)

    async def _finish(
        self, job: JobRecord, holder: str, status: str, *, error: str = "", result: dict[str, Any] | None = None
    ) -> None:
        if await self._store.finish(job.id, holder, status, self._clock.now_ms(), error=error, result=result):
            log.info("job_ended", job=job.id, kind=job.kind, status=status)
        else:
            log.warning("job_lost", job=job.id, kind=job.kind)

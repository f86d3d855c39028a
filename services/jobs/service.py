"""Starting jobs, looking at them and calling them off. `running.py` runs them."""

from collections.abc import Sequence
from typing import Any, Final

from actors.runtime.entity import Actor
from domain.errors import Conflict, NotFound
from domain.ids import new_id
from services.access.check import may, refusal, require
from services.access.policy import Permission
from services.jobs.store import JobStore
from services.lookups import Clock
from storage.jobs import JobRecord

STEADFAST: Final = frozenset({"user_erasure"})
"""Kinds that are not called off once an attempt was made at them: half of it would be neither."""


class Jobs:
    """Whoever started a job sees it and may call it off; so may who runs the platform. To others it is unknown."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def start(
        self,
        kind: str,
        key: str,
        *,
        owner: str,
        person: str = "",
        params: dict[str, Any] | None = None,
        due_at_ms: int = 0,
        once: bool = False,
    ) -> JobRecord:
        """A job of this kind and key: the live one if there is one, so starting again does nothing.

        `once`: also one that has ended is given back. `due_at_ms`: not before then. `params` hold ids and numbers only.
        """
        now = self._clock.now_ms()
        if once and (found := await self._store.newest(kind, key)) is not None:
            return found
        return await self._store.add(
            JobRecord(
                id=new_id(),
                kind=kind,
                key=key,
                owner=owner,
                person=person,
                params=params or {},
                due_at_ms=due_at_ms or now,
                created_at_ms=now,
            )
        )

    async def get(self, actor: Actor, job_id: str) -> JobRecord:
        found = await self._store.job(job_id)
        if found is None:
            raise refusal(Permission.JOB_SEE)
        require(actor, Permission.JOB_SEE, person=found.owner)
        return found

    async def newest(self, kind: str, key: str) -> JobRecord | None:
        return await self._store.newest(kind, key)

    async def list(self, actor: Actor, before_id: str, limit: int) -> Sequence[JobRecord]:
        """One's own, newest first; everybody's for who runs the platform."""
        return await self._store.jobs("" if may(actor, Permission.PLATFORM_RUN) else actor.subject, before_id, limit)

    async def cancel(self, actor: Actor, job_id: str) -> JobRecord:
        """Raises `Conflict`: `job_ended` for one that has ended otherwise, `job_under_way` for one that must end."""
        job = await self.get(actor, job_id)
        found = await self._store.cancel(job_id, self._clock.now_ms(), begun=job.kind not in STEADFAST)
        if found is None:
            raise NotFound("There is no such job.")
        if found.live and not found.cancel_wanted:
            raise Conflict("This job is not called off any more.", code="job_under_way")
        if found.status in {"succeeded", "failed"}:
            raise Conflict("The job has ended.", code="job_ended", extra={"current": found.status})
        return found

    async def call_off(self, kind: str, key: str) -> None:
        """Cancel the live job of this kind and key, if there is one."""
        found = await self._store.newest(kind, key)
        if found is not None and found.live:
            await self._store.cancel(found.id, self._clock.now_ms(), begun=kind not in STEADFAST)

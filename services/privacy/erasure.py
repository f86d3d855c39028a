"""The job that erases a person (rule P1): noun by noun, and in writing what became of each.

Steps are in the order of the registry, the account last, for others are found by it. Each is idempotent and noted when
it is done; an attempt that was killed goes on where the notes end. A second erasure walks everything again, finds
nothing, and has the same outcome.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from actors.order_commands import Whose
from actors.runtime.entity import SYSTEM
from services.audit import OPERATIONS, AuditStore
from services.jobs.running import Work
from services.lookups import Clock
from services.privacy.entities import PersonalEntities
from services.privacy.export import path_of
from storage.audit import Event
from storage.privacy.accounts import ErasedAccounts
from storage.privacy.personal import PersonalTables
from storage.privacy.records import ErasureRecord, PrivacyTables
from storage.privacy.registry import REGISTRY, Fate, Ground, Personal

KIND: Final = "user_erasure"
ERASED: Final = "erased"
"""What the audit trail says, with the id of the job as the reason."""

Forget = Callable[[str], Awaitable[bool]]


class Erasing:
    """`run` is the job's handler."""

    def __init__(
        self,
        tables: PersonalTables,
        records: PrivacyTables,
        entities: PersonalEntities,
        accounts: ErasedAccounts,
        trail: AuditStore,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._tables = tables
        self._records = records
        self._entities = entities
        self._accounts = accounts
        self._trail = trail
        self._folder = folder
        self._clock = clock

    async def run(self, work: Work) -> dict[str, Any]:
        """Returns `{"outcome": {noun: {"fate", "count", "ground"?, "open"?}}, "finished": bool}`.

        `{"held": True}`: a legal hold is in force, and nothing was done.
        """
        job, person = work.job, work.job.person
        if await self._records.is_held(person):
            return {"held": True}
        begun = ErasureRecord(
            user_id=person, job_id=job.id, asked_by=job.owner, outcome={}, started_at_ms=self._clock.now_ms()
        )
        before = await self._records.begin_erasure(begun)
        await self._accounts.close(person)
        resumed = set(job.checkpoint.get("done", ()))
        for number, entry in enumerate(REGISTRY):
            if entry.noun in resumed:
                continue
            await work.advance(done=number, total=len(REGISTRY), step=entry.noun)
            outcome = await self._erase(entry, person)
            await self._records.note_erased(person, entry.noun, _merged(before.outcome.get(entry.noun, {}), outcome))
            resumed.add(entry.noun)
            await work.advance(checkpoint={"done": sorted(resumed)})
        found = await self._records.erasure(person)
        outcome = {} if found is None else found.outcome
        whole = not any(each.get("open") for each in outcome.values())
        if whole and not before.finished_at_ms:
            await self._trail.add([self._erased(person, job.id)])
            await self._records.finish_erasure(person, self._clock.now_ms())
        await work.advance(done=len(REGISTRY), total=len(REGISTRY), step="")
        return {"outcome": outcome, "finished": whole}

    async def _erase(self, entry: Personal, person: str) -> dict[str, Any]:
        steps: dict[str, Forget] = {
            "carts": self._entities.forget_cart,
            "orders": lambda order_id: self._entities.forget_order(order_id, Whose.CUSTOMER),
            "deliveries": lambda order_id: self._entities.forget_order(order_id, Whose.COURIER),
        }
        if entry.noun in steps:
            return await self._forget(entry, self._tables.ids(entry, person), steps[entry.noun])
        if entry.noun == "account":
            erased = await self._accounts.erase(person)
            return _outcome(entry, int(erased))
        if entry.noun == "exports":
            return _outcome(entry, await self._remove_exports(person))
        if entry.fate is Fate.DELETED:
            return _outcome(entry, await self._tables.delete(entry, person))
        return _outcome(entry, await self._tables.count(entry, person))

    def _erased(self, person: str, job_id: str) -> Event:
        return Event(
            at_ms=self._clock.now_ms(),
            actor=SYSTEM.subject,
            action=ERASED,
            kind="user",
            object_id=person,
            reason=job_id,
            purpose=OPERATIONS,
        )

    async def _forget(self, entry: Personal, ids: AsyncIterator[str], forget: Forget) -> dict[str, Any]:
        count = left = 0
        async for each in ids:
            if await forget(each):
                count += 1
            else:
                left += 1
        outcome = _outcome(entry, count)
        return outcome | ({"open": left, "open_ground": Ground.ORDER_OPEN.value} if left else {})

    async def _remove_exports(self, person: str) -> int:
        ids = await self._records.export_ids(person)
        await self._records.remove_exports(ids)  # the keys first: then the files are noise
        for each in ids:
            path_of(self._folder, each).unlink(missing_ok=True)
        return len(ids)


def _outcome(entry: Personal, count: int) -> dict[str, Any]:
    outcome = {"fate": entry.fate.value, "count": count}
    return outcome | ({"ground": entry.ground.value} if entry.ground else {})


def _merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was deleted is counted when it is; asked again, there is nothing, and the first count stands."""
    return now | {"count": max(before.get("count", 0), now["count"])}

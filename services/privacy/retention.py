"""The job by which what nobody needs any more runs out (rule P2): rule by rule, batch by batch."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from actors.order_commands import Whose
from domain.times import DAY_MS, SECOND_MS
from services.jobs.running import Work
from services.privacy.entities import PersonalEntities
from services.privacy.export import path_of
from services.privacy.limits import PrivacyLimits
from services.privacy.retention_rules import RULES, Rule
from storage.privacy.records import PrivacyTables
from storage.privacy.retention import Due, EntityRule, RetentionTables, RowRule

KIND: Final = "retention"
MAIL_PATTERN: Final = "*.eml"


class Retaining:
    """`run` is the job's handler; `count` says what it would do. `days` by rule, None for never."""

    def __init__(
        self,
        tables: RetentionTables,
        records: PrivacyTables,
        entities: PersonalEntities | None,
        exports: Path,
        mail: Path,
        days: Mapping[str, int | None],
        limits: PrivacyLimits,
    ) -> None:
        """Without `entities` it only counts."""
        self._tables = tables
        self._records = records
        self._entities = entities
        self._exports = exports
        self._mail = mail
        self._days = days
        self._limits = limits

    async def run(self, work: Work) -> dict[str, Any]:
        """Returns `{"dry_run": bool, "rules": {name: {"days", "count"}}}`; rules of "never" are left out."""
        if work.job.params.get("dry_run"):
            return {"dry_run": True, "rules": await self.count()}
        now, found = await self._tables.now_ms(), dict[str, Any]()
        for number, rule in enumerate(RULES):
            await work.advance(done=number, total=len(RULES), step=rule.name)
            days = self._days[rule.name]
            if days is not None:
                count = await self._expire(rule, now - days * DAY_MS, work)
                found[rule.name] = {"days": days, "count": count}
        await work.advance(done=len(RULES), total=len(RULES), step="")
        return {"dry_run": False, "rules": found}

    async def count(self) -> dict[str, Any]:
        """What would run out now, by rule."""
        now, found = await self._tables.now_ms(), dict[str, Any]()
        for rule in RULES:
            days = self._days[rule.name]
            if days is not None:
                found[rule.name] = {"days": days, "count": await self._count(rule, now - days * DAY_MS)}
        return found

    async def _count(self, rule: Rule, before: int) -> int:
        if isinstance(rule.of, RowRule):
            return await self._tables.count(rule.of, before)
        if isinstance(rule.of, EntityRule):
            mark, count = await self._tables.mark(rule.name), 0
            while page := await self._tables.due(rule.of, mark, before, self._limits.retention_batch_rows):
                mark, count = page[-1], count + len(page)
            return count
        if rule.of == "exports":
            return len(await self._records.export_ids(expired_at_ms=before))
        return len(await asyncio.to_thread(_old_mail, self._mail, before))

    async def _expire(self, rule: Rule, before: int, work: Work) -> int:
        if isinstance(rule.of, RowRule):
            return await self._expire_rows(rule.of, before, work)
        if isinstance(rule.of, EntityRule):
            return await self._expire_entities(rule, rule.of, before, work)
        if rule.of == "exports":
            return await self._expire_exports(before)
        old = await asyncio.to_thread(_old_mail, self._mail, before)
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    async def _expire_rows(self, rule: RowRule, before: int, work: Work) -> int:
        total = 0
        while count := await self._tables.delete(rule, before, self._limits.retention_batch_rows):
            total += count
            await work.advance()
        return total

    async def _expire_entities(self, rule: Rule, of: EntityRule, before: int, work: Work) -> int:
        """An entity forgets once; the mark says how far that has come, so the next day goes on behind it."""
        mark, total = await self._tables.mark(rule.name), 0
        while page := await self._tables.due(of, mark, before, self._limits.retention_batch_rows):
            for due in page:
                await self._forget(rule.name, due)
                total += 1
                if total % 100 == 0:
                    await work.advance()
            mark = page[-1]
            await self._tables.put_mark(rule.name, mark)
            await work.advance()
        return total

    async def _forget(self, rule: str, due: Due) -> None:
        if self._entities is None:
            raise RuntimeError("this process only counts")
        if rule == "carts":
            await self._entities.forget_cart(due.id)
        else:
            whose = Whose.COURIER if rule == "courier_positions" else Whose.CUSTOMER
            await self._entities.forget_order(due.id, whose)

    async def _expire_exports(self, before: int) -> int:
        ids = await self._records.export_ids(expired_at_ms=before)
        await self._records.remove_exports(ids)
        for each in ids:
            path_of(self._exports, each).unlink(missing_ok=True)
        return len(ids)


def _old_mail(folder: Path, before_ms: int) -> list[Path]:
    return [path for path in folder.glob(MAIL_PATTERN) if path.stat().st_mtime < before_ms / SECOND_MS]

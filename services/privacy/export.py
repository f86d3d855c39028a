"""The job that gathers everything about a person into one sealed zip (rule P1)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from domain.times import SECOND_MS, to_rfc3339
from services.jobs.running import JobCancelledError, Work
from services.lookups import Clock
from services.privacy.archive import Archive
from services.privacy.entities import PersonalEntities
from services.privacy.limits import PrivacyLimits
from storage.privacy.personal import PAGE_ROWS, PersonalTables
from storage.privacy.records import ExportRecord, PrivacyTables
from storage.privacy.registry import REGISTRY, Personal
from storage.sealed_files import new_file_key

KIND: Final = "user_export"
EXPORTS_FOLDER: Final = "exports"
"""Of the data folder."""
FORMAT: Final = "atrium-personal-data/1"

_GROUNDS: Final = "A noun with a `ground` is kept when the account is erased; the page on privacy says why."


class Exporting:
    """`run` is the job's handler. A killed attempt left a sealed file without its key: the next one begins anew."""

    def __init__(
        self,
        tables: PersonalTables,
        records: PrivacyTables,
        entities: PersonalEntities,
        folder: Path,
        clock: Clock,
        limits: PrivacyLimits,
    ) -> None:
        self._tables = tables
        self._records = records
        self._entities = entities
        self._folder = folder
        self._clock = clock
        self._limits = limits

    async def run(self, work: Work) -> dict[str, Any]:
        job, key, now = work.job, new_file_key(), self._clock.now_ms()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f"{job.id}.part"
        nouns = [entry for entry in REGISTRY if entry.exported]
        with Archive(draft, key, place_of(job.id)) as archive:
            described = []
            for number, entry in enumerate(nouns):
                await work.advance(done=number, total=len(nouns), step=entry.noun)
                described.append(_described(entry, await self._write(archive, entry, job.person, work)))
            archive.document("manifest.json", _manifest(job.person, now, described))
        draft.replace(path_of(self._folder, job.id))
        expires = now + self._limits.export_ttl_seconds * SECOND_MS
        record = ExportRecord(
            id=job.id,
            user_id=job.person,
            file_key=key,
            size_bytes=archive.size_bytes,
            files=archive.files,
            created_at_ms=now,
            expires_at_ms=expires,
        )
        if not await self._records.put_export(record):
            path_of(self._folder, job.id).unlink(missing_ok=True)
            raise JobCancelledError
        await work.advance(done=len(nouns), total=len(nouns), step="")
        return {"files": archive.files, "size_bytes": archive.size_bytes, "expires_at": to_rfc3339(expires)}

    async def _write(self, archive: Archive, entry: Personal, person: str, work: Work) -> int:
        listed = archive.list(f"{entry.noun}.json")
        async for record in self._records_of(entry, person):
            listed.add(record)
            if listed.count % PAGE_ROWS == 0:
                await work.advance()
        listed.close()
        return listed.count

    async def _records_of(self, entry: Personal, person: str) -> AsyncIterator[dict[str, Any]]:
        async for row in self._tables.rows(entry, person):
            if entry.kind:
                yield await self._entities.shown(entry.kind, row["id"]) or row
            elif entry.noun == "deliveries":
                positions = await self._entities.positions(row["id"])
                yield {"order_id": row["id"], "status": row["status"], "positions": positions}
            else:
                yield row


def path_of(folder: Path, export_id: str) -> Path:
    return folder / f"{export_id}.zip.sealed"


def place_of(export_id: str) -> str:
    """What a file is bound to."""
    return f"exports/{export_id}"


def _described(entry: Personal, count: int) -> dict[str, Any]:
    described = {"noun": entry.noun, "file": f"{entry.noun}.json", "what": entry.what, "count": count}
    return described | ({"ground": entry.ground.value} if entry.ground else {})


def _manifest(person: str, now_ms: int, nouns: list[dict[str, Any]]) -> dict[str, Any]:
    return {"format": FORMAT, "person": person, "created_at": to_rfc3339(now_ms), "about": _GROUNDS, "nouns": nouns}

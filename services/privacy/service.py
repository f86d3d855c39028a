"""Exports and erasures as people ask for them. The jobs do the work (`export.py`, `erasure.py`)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import Conflict, NotFound
from services.access.check import may, refusal, require
from services.access.policy import Permission
from services.audit import OPERATIONS, OWN, Audit
from services.jobs.service import Jobs
from services.lookups import Clock
from services.privacy import erasure, export, retention
from services.privacy.export import path_of, place_of
from storage.jobs import JobRecord
from storage.privacy.records import ExportRecord
from storage.sealed_files import read_sealed

EXPORT: Final = "export"
DOWNLOAD: Final = "export_download"
ERASE: Final = "erase"
USER: Final = "user"


class PrivacyStore(Protocol):
    """What the use-cases need of `storage.privacy.records.PrivacyTables`."""

    async def person_exists(self, user_id: str) -> bool: ...
    async def export(self, user_id: str, now_ms: int) -> ExportRecord | None: ...
    async def downloaded(self, export_id: str, now_ms: int) -> None: ...
    async def is_held(self, user_id: str) -> bool: ...


class Privacy:
    """`folder` is where sealed exports are: the same for jobs and gateways."""

    def __init__(self, jobs: Jobs, store: PrivacyStore, folder: Path, audit: Audit, clock: Clock) -> None:
        self.jobs = jobs
        self._store = store
        self._folder = folder
        self._audit = audit
        self._clock = clock

    async def export(self, actor: Actor, user_id: str, correlation: str = "") -> JobRecord:
        """The job of a person's export: the newest while it runs or its file can be had, else a new one.

        For oneself, and for who runs the platform. Raises `NotFound` to all others.
        """
        require(actor, Permission.PERSON_EXPORT, person=user_id)
        await self._check_exists(user_id)
        newest = await self.jobs.newest(export.KIND, user_id)
        if newest is not None and newest.status == "succeeded":
            found = await self._store.export(user_id, self._clock.now_ms())
            if found is not None and found.id == newest.id:
                return newest
        if newest is None or not newest.live:
            await self._note(actor, EXPORT, user_id, correlation)
        return await self.jobs.start(export.KIND, user_id, owner=user_id, person=user_id)

    async def download(self, actor: Actor, user_id: str, correlation: str = "") -> tuple[ExportRecord, Path]:
        """The newest export and its file, for the person only. Raises `NotFound`, also when it has expired."""
        require(actor, Permission.PERSON_DOWNLOAD, person=user_id)
        found = await self._store.export(user_id, self._clock.now_ms())
        if found is None:
            raise NotFound("There is no export that can be downloaded.")
        path = path_of(self._folder, found.id)
        if not await asyncio.to_thread(path.exists):
            raise NotFound("There is no export that can be downloaded.")
        await self._note(actor, DOWNLOAD, user_id, correlation)
        await self._store.downloaded(found.id, self._clock.now_ms())
        return found, path

    async def erase(self, actor: Actor, user_id: str, correlation: str = "") -> JobRecord:
        """Erase a person now, by who runs the platform. Raises `NotFound`, `Conflict` with code `legal_hold`."""
        await self.check_erasure(actor, user_id)
        await self._note(actor, ERASE, user_id, correlation)
        return await self.jobs.start(erasure.KIND, user_id, owner=actor.subject, person=user_id)

    async def check_erasure(self, actor: Actor, user_id: str) -> None:
        """Raises what `erase` does."""
        require(actor, Permission.PERSON_MANAGE)
        await self._check_exists(user_id)
        if await self._store.is_held(user_id):
            raise Conflict("Something of this person must be kept.", code="legal_hold")

    async def retain(self, actor: Actor, *, dry_run: bool) -> JobRecord:
        """Run the rules of retention now, by who runs the platform."""
        if not may(actor, Permission.PLATFORM_RUN):
            raise refusal(Permission.JOB_SEE)
        key = "dry_run" if dry_run else "run"
        return await self.jobs.start(retention.KIND, key, owner=actor.subject, params={"dry_run": dry_run})

    async def _check_exists(self, user_id: str) -> None:
        if not await self._store.person_exists(user_id):
            raise NotFound("There is no such person.")

    async def _note(self, actor: Actor, action: str, user_id: str, correlation: str) -> None:
        purpose = OWN if is_oneself(actor, user_id) else OPERATIONS
        await self._audit.note(actor, action, USER, user_id, correlation=correlation, purpose=purpose)


async def content_of(found: ExportRecord, path: Path) -> AsyncIterator[bytes]:
    """The zip, piece by piece."""
    pieces = read_sealed(path, found.file_key, place_of(found.id))
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece

"""Privacy in memory for the house: people who exist, one finished export, holds."""

import atexit
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from domain.ids import new_id
from services.accounts.store import AccountStores
from services.audit import Audit
from services.jobs.service import Jobs
from services.lookups import Clock
from services.privacy.archive import Archive
from services.privacy.export import path_of, place_of
from services.privacy.service import Privacy
from storage.privacy.records import ExportRecord
from storage.sealed_files import new_file_key
from tests.services.jobs.memory import MemoryJobs

if TYPE_CHECKING:
    from tests.serve.house import House


DAY_MS = 24 * 3_600_000

_FOLDERS = ExitStack()
atexit.register(_FOLDERS.close)


class MemoryPrivacy:
    """`services.privacy.service.PrivacyStore`."""

    def __init__(self, accounts: AccountStores) -> None:
        self._accounts = accounts
        self.exports: dict[str, ExportRecord] = {}
        self.downloads: list[str] = []
        self.held: set[str] = set()

    async def person_exists(self, user_id: str) -> bool:
        return await self._accounts.users.user(user_id) is not None

    async def export(self, user_id: str, now_ms: int) -> ExportRecord | None:
        found = self.exports.get(user_id)
        return found if found is not None and found.expires_at_ms > now_ms else None

    async def downloaded(self, export_id: str, now_ms: int) -> None:
        self.downloads.append(export_id)

    async def is_held(self, user_id: str) -> bool:
        return user_id in self.held


def make_privacy(accounts: AccountStores, audit: Audit, clock: Clock) -> tuple[Privacy, MemoryJobs, MemoryPrivacy]:
    jobs, store = MemoryJobs(clock), MemoryPrivacy(accounts)
    return Privacy(Jobs(jobs, clock), store, Path("nowhere"), audit, clock), jobs, store


def put_export(house: "House", person: str, folder: Path | None = None) -> None:
    """A finished export with one file, which the house gives out from then on."""
    gateway, store = house.gateway, house.privacy_store
    folder = folder or Path(_FOLDERS.enter_context(tempfile.TemporaryDirectory()))
    assert gateway.privacy is not None
    gateway.privacy = Privacy(gateway.privacy.jobs, store, folder, gateway.audit, house.clock)
    found, key = new_id(), new_file_key()
    with Archive(path_of(folder, found), key, place_of(found)) as archive:
        archive.document("account.json", {"id": person})
    store.exports[person] = ExportRecord(
        id=found,
        user_id=person,
        file_key=key,
        size_bytes=archive.size_bytes,
        files=archive.files,
        created_at_ms=house.clock.now_ms(),
        expires_at_ms=house.clock.now_ms() + DAY_MS,
    )

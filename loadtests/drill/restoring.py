"""The restore drill: a backup, work, a moment, more work; then the installation as of that moment, counted.

Postgres's log archived under load is replayed into a second data folder up to the moment. What was acknowledged by
then must be there under the same version, what was sent later must not; what was under way may be either.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from actors.kinds import KINDS
from actors.runtime.codec import KindCodec, UnreadableError
from cluster.stores import database_for_command, open_keys
from domain.ids import new_id
from loadtests.clinic import open_clinic
from loadtests.drill.charting import Charting
from loadtests.drill.check import rows_of
from loadtests.drill.crowd import Crowd
from loadtests.drill.ledger import Found, Ledger, Verdict, judge
from loadtests.ground import Catalog
from loadtests.stack import Stack
from services.entities import DOCUMENT
from storage.audit_reading import AuditChain
from storage.db import Database
from storage.settings import Settings

NAME: Final = "restore"
WHAT: Final = "an installation restored to a moment under load"
SETTLE_SECONDS_MAX: Final = 90.0
COMMAND_SECONDS_MAX: Final = 180.0
_DOCUMENTS: Final = f"SELECT id, version, payload FROM journal WHERE kind = '{DOCUMENT}' ORDER BY id, version"


class CommandFailedError(RuntimeError):
    """`atrium` ended with an error; the message is what it said."""


class Moment(msgspec.Struct, frozen=True):
    """What clients knew at a moment: every command sent by then, with its version if it was acknowledged."""

    at: datetime
    carts: Ledger
    documents: Mapping[str, int]
    """By id; 0: under way."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was found as of the moment. `verdict` of the carts: `duplicated` counts what was sent later, too.

    documents_lost     acknowledged by then, and not there in that version
    documents_later    begun later, and there
    documents_sealed   journal rows of documents, of which `unreadable` did not open
    audit_broken       1 if the audit trail is not what was written
    """

    verdict: Verdict
    documents: int
    documents_lost: int
    documents_later: int
    documents_sealed: int
    unreadable: int
    audit_events: int
    audit_broken: int
    later: int
    """Commands acknowledged after the moment: what the restored installation must not have."""
    backup_seconds: float
    restore_seconds: float

    @property
    def violations(self) -> int:
        counted = self.documents_lost + self.documents_later + self.unreadable + self.audit_broken
        # A drill that proves nothing has failed, too.
        empty = int(not (self.verdict.acknowledged and self.documents_sealed and self.audit_events and self.later))
        return self.verdict.violations + counted + empty


async def drill(stack: Stack, catalog: Catalog, seconds: float) -> Restored:
    """Raises `CommandFailedError`, `TimeoutError` when what was sent is never answered, and what the database does."""
    subject = new_id()
    clinic = await open_clinic(stack.base_url, stack.run.database_url, stack.token, locations=1, rooms_each=1)
    crowd = Crowd(stack.base_url, subject, stack.token(subject), catalog)
    async with crowd, Charting(stack.base_url, clinic) as charting:
        began = time.monotonic()
        await atrium("backup", "--data", str(stack.folder))
        backup_seconds = time.monotonic() - began
        await asyncio.sleep(seconds / 2)
        moment = moment_of(crowd.ledger, charting.sent)
        await asyncio.sleep(seconds / 2)
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            await crowd.rest()
            await charting.rest()
        later = crowd.ledger.acknowledged() - moment.carts.acknowledged()
    await atrium("backup", "archive", "--data", str(stack.folder))
    folder = Path(tempfile.mkdtemp(prefix="atrium-restored-"))
    try:
        began = time.monotonic()
        source = ("restore", str(stack.folder / "backups"), "--to-time", moment.at.isoformat())
        await atrium(*source, "--data", str(folder))
        restore_seconds = time.monotonic() - began
        await asyncio.to_thread(shutil.copytree, stack.folder / "keys", folder / "keys")
        found = await asyncio.to_thread(_count, folder, moment)
        return msgspec.structs.replace(
            found, later=later, backup_seconds=round(backup_seconds, 2), restore_seconds=round(restore_seconds, 2)
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def moment_of(ledger: Ledger, documents: Mapping[str, int]) -> Moment:
    """Now, before anything else is sent or acknowledged: nothing here waits."""
    carts = Ledger()
    carts.sent = {cart: dict(commands) for cart, commands in ledger.sent.items()}
    return Moment(datetime.now(UTC), carts, dict(documents))


def judge_carts(moment: Moment, rows: Mapping[str, list[tuple[int, bytes]]]) -> Verdict:
    """The carts' journal as of the moment. Views are not asked: there is no gateway."""
    return judge(moment.carts, {cart: Found(each, each[-1][0], len(each) - 1) for cart, each in rows.items()})


async def atrium(*arguments: str) -> str:
    """Run one command as an operator does; what it printed. Raises `CommandFailedError`, `TimeoutError`."""
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "ATRIUM_STACK"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cluster", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            said, complained = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise CommandFailedError(f"atrium {arguments[0]}: {complained.decode().strip() or said.decode().strip()}")
    return said.decode()


def _count(folder: Path, moment: Moment) -> Restored:
    settings = Settings(data_dir=folder)
    with database_for_command(settings) as url:
        return asyncio.run(_counted(settings, url, moment))


async def _counted(settings: Settings, url: str, moment: Moment) -> Restored:
    keys = await open_keys(settings, url)
    codec: KindCodec[Any] = KindCodec(KINDS[DOCUMENT], keys)
    versions: dict[str, int] = {}
    sealed = unreadable = 0
    for row in await _fetch(url, _DOCUMENTS):
        sealed += 1
        versions[row["id"]] = max(versions.get(row["id"], 0), row["version"])
        unreadable += not _opens(codec, row)
    database = Database(url)
    try:
        trail = await AuditChain(database).verify()
    finally:
        await database.close()
    return Restored(
        verdict=judge_carts(moment, await rows_of(url, list(moment.carts.sent))),
        documents=len(versions),
        documents_lost=sum(versions.get(each, 0) < version for each, version in moment.documents.items()),
        documents_later=len(versions.keys() - moment.documents.keys()),
        documents_sealed=sealed,
        unreadable=unreadable,
        audit_events=trail.checked,
        audit_broken=int(trail.broken is not None),
        later=0,
        backup_seconds=0.0,
        restore_seconds=0.0,
    )


def _opens(codec: KindCodec[Any], row: Any) -> bool:
    try:
        return bool(codec.events(row["id"], row["version"], row["payload"]))
    except UnreadableError:
        return False


async def _fetch(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()

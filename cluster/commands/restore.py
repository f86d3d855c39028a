"""`atrium restore FOLDER`: an installation's database from a backup, into a data folder that has none."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cluster.console import DataOption, err, out, settings_with
from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, DatabaseError
from cluster.stores import database_for_command
from storage.audit_chain import parse_head
from storage.audit_reading import AuditChain, Verified
from storage.db import Database
from storage.embedded.backup import BackupError, BackupInfo, check_backup
from storage.embedded.backup import restore as restore_database
from storage.embedded.process import EmbeddedServerError
from storage.embedded.recovery import recover
from storage.embedded.retention import WAL_FOLDER, choose
from storage.settings import Settings

TimeOption = Annotated[
    str | None, typer.Option("--to-time", metavar="TIME", help="As it was then: RFC 3339, 2026-11-21T05:30:00Z.")
]
LatestOption = Annotated[bool, typer.Option("--to-latest", help="With all of the archived log.")]
WalOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--wal", help="Folder of the archived log; may be given several times. Default: wal beside the backup."
    ),
]


def register(app: typer.Typer) -> None:
    app.command("restore")(restore)


def restore(
    folder: Annotated[Path, typer.Argument(help="A backup, or a folder of them: the newest that will do.")],
    to_time: TimeOption = None,
    to_latest: LatestOption = False,
    wal: WalOption = None,
    data: DataOption = None,
) -> None:
    """Restore a backup into a data folder without a database, start it once, and verify its audit trail.

    As of the backup, or of any moment since for which the log was archived. Exit code 1 if the trail is not what was
    written.
    """
    settings = settings_with(data)
    if settings.database_url is not None:
        raise BadSettingsError("DATABASE_URL is set: restore that Postgres with its own tools")
    if to_time is not None and to_latest:
        raise BadSettingsError("either --to-time or --to-latest")
    until = None if to_time is None else _moment(to_time)
    source, info = _restored(settings, folder.absolute(), until, latest=to_latest, wal=wal)
    with database_for_command(settings) as url:
        found = asyncio.run(_verify(url, info))
    as_of = to_time or ("the end of the archived log" if to_latest else info.at)
    out.print(f"restored {source.name} as of {as_of}; {found.checked} events of the audit trail were verified")
    if settings.encryption_key is None and not any(DataDir(settings.data_dir).keys.glob("*")):
        err.print(f"put the installation's keys into {DataDir(settings.data_dir).keys} before `atrium up`")
    if found.broken is not None:
        out.print(f"[red]the audit trail is broken at position {found.broken.position}[/red]")
        raise typer.Exit(1)


def _restored(
    settings: Settings, folder: Path, until: datetime | None, *, latest: bool, wal: list[Path] | None
) -> tuple[Path, BackupInfo]:
    data = DataDir(settings.data_dir)
    if data.postgres.exists():
        raise BadSettingsError(f"{data.folder} has a database already: restore into another folder")
    data.lock()
    try:
        source = choose(folder, until)
        info = check_backup(source)
        if until is None and not latest:
            restore_database(source, data.postgres)
        else:
            recover(source, data.postgres, [each.absolute() for each in wal or [source.parent / WAL_FOLDER]], until)
    except (BackupError, EmbeddedServerError, OSError) as error:
        raise DatabaseError(str(error)) from error
    finally:
        data.unlock()
    return source, info


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadSettingsError("--to-time is a date and time with Z or an offset: 2026-11-21T05:30:00Z")
    return moment


async def _verify(url: str, info: BackupInfo) -> Verified:
    database = Database(url)
    try:
        return await AuditChain(database).verify(kept=parse_head(info.audit_head))
    finally:
        await database.close()

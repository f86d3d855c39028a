"""`atrium restore FOLDER`: an installation's database from a backup, into a data folder that has none."""

import asyncio
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
from storage.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("restore")(restore)


def restore(
    folder: Annotated[Path, typer.Argument(help="As `atrium backup` made it.")], data: DataOption = None
) -> None:
    """Restore a backup into a data folder without a database, start it once, and verify its audit trail.

    Exit code 1 if the trail is not what was written.
    """
    settings = settings_with(data)
    if settings.database_url is not None:
        raise BadSettingsError("DATABASE_URL is set: restore that Postgres with its own tools")
    info = _restored(settings, folder.absolute())
    with database_for_command(settings) as url:
        found = asyncio.run(_verify(url, info))
    out.print(f"restored as of {info.at}; {found.checked} events of the audit trail were verified")
    if settings.encryption_key is None and not any(DataDir(settings.data_dir).keys.glob("*")):
        err.print(f"put the installation's keys into {DataDir(settings.data_dir).keys} before `atrium up`")
    if found.broken is not None:
        out.print(f"[red]the audit trail is broken at position {found.broken.position}[/red]")
        raise typer.Exit(1)


def _restored(settings: Settings, folder: Path) -> BackupInfo:
    data = DataDir(settings.data_dir)
    if data.postgres.exists():
        raise BadSettingsError(f"{data.folder} has a database already: restore into another folder")
    data.lock()
    try:
        info = check_backup(folder)
        restore_database(folder, data.postgres)
    except (BackupError, EmbeddedServerError, OSError) as error:
        raise DatabaseError(str(error)) from error
    finally:
        data.unlock()
    return info


async def _verify(url: str, info: BackupInfo) -> Verified:
    database = Database(url)
    try:
        return await AuditChain(database).verify(kept=parse_head(info.audit_head))
    finally:
        await database.close()

"""`atrium backup FOLDER`: a copy of the embedded database while everything runs."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from actors.runtime.clock import SystemClock
from cluster.console import DataOption, JsonOption, out, print_json, settings_with
from cluster.errors import BadSettingsError, DatabaseError
from cluster.stores import database_for_command
from domain.times import to_rfc3339
from storage.audit_reading import AuditChain
from storage.db import Database
from storage.embedded.backup import BackupError, BackupInfo, back_up
from storage.migrate import current_revision, head_revision


def register(app: typer.Typer) -> None:
    app.command("backup")(backup)


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Copy the embedded database into a new folder, while everything runs. Keys are not in it: keep them elsewhere."""
    settings = settings_with(data)
    if settings.database_url is not None:
        raise BadSettingsError("DATABASE_URL is set: back that Postgres up with its own tools")
    with database_for_command(settings) as url:
        info = asyncio.run(_info(url))
        try:
            back_up(url, folder.absolute(), info)
        except (BackupError, OSError) as error:
            raise DatabaseError(str(error)) from error
    if as_json:
        print_json(info)
    else:
        out.print(f"{folder} is a backup as of {info.at}; the audit trail's head is {info.audit_head}", soft_wrap=True)


async def _info(url: str) -> BackupInfo:
    revision = await current_revision(url)
    if revision != head_revision():
        raise BadSettingsError(f"the database is at revision {revision}: `atrium migrate` first")
    database = Database(url)
    try:
        head = await AuditChain(database).head()
        return BackupInfo(at=to_rfc3339(SystemClock().now_ms()), revision=revision, audit_head=str(head))
    finally:
        await database.close()

"""`atrium backup`: copies of the embedded database while everything runs, and the log that leads on from them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from actors.runtime.clock import SystemClock
from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.errors import BadSettingsError, DatabaseError
from cluster.stores import backups_folder, database_for_command, embedded_postgres
from domain.times import to_rfc3339
from storage.audit_reading import AuditChain
from storage.db import Database
from storage.embedded.archive import await_archived, reach, segments
from storage.embedded.backup import BackupError, BackupInfo, back_up, check_backup, switch_segment
from storage.embedded.process import EmbeddedServerError
from storage.embedded.retention import KEEP_DEFAULT, WAL_FOLDER, Kept, backups, prune
from storage.migrate import current_revision, head_revision
from storage.settings import Settings

CREATE: Final = "create"
_HELP_OPTIONS: Final = frozenset({"-h", "--help"})


class _CreateByDefault(TyperGroup):
    """`atrium backup` and `atrium backup FOLDER` are `atrium backup create …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in _HELP_OPTIONS):
            args = [CREATE, *args]
        return super().parse_args(ctx, args)


KeepOption = Annotated[int | None, typer.Option("--keep", min=1, help="Then prune to so many backups.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=_CreateByDefault, help="Copies of the embedded database, and the log since. Without a word: create."
    )
    group.command(CREATE)(create)
    group.command("list")(list_backups)
    group.command("verify")(verify)
    group.command("prune")(prune_backups)
    group.command("archive")(archive)
    app.add_typer(group, name="backup")


def create(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder that does not exist yet; default: a new one in ATRIUM_BACKUP_DIR.")
    ] = None,
    keep: KeepOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Copy the embedded database into a new folder, while everything runs, and archive its log from now on.

    Keys are not in it: keep them elsewhere.
    """
    settings = _embedded(settings_with(data))
    place = backups_folder(settings)
    target = place / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}" if folder is None else folder.absolute()
    with database_for_command(settings) as url:
        info = asyncio.run(_info(url))
        try:
            embedded_postgres(settings).open_archive()
            info = back_up(url, target, info, _now)
            pruned = prune(place, place / WAL_FOLDER, keep).backups if keep is not None else ()
        except (BackupError, EmbeddedServerError, OSError) as error:
            raise DatabaseError(str(error)) from error
    if as_json:
        print_json(
            {"folder": str(target), "at": info.at, "finished_at": info.finished_at, "audit_head": info.audit_head}
        )
        return
    out.print(f"{target} is a backup as of {info.at}; the audit trail's head is {info.audit_head}", soft_wrap=True)
    if pruned:
        out.print(f"{len(pruned)} older ones were removed")


def list_backups(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the backups, and how far the archived log leads on from each."""
    place = backups_folder(settings_with(data))
    found = [_listed(each, place / WAL_FOLDER) for each in _backups(place)]
    if as_json:
        print_json(found)
        return
    rows = table("backup", "whole at", "#MiB", "log up to", "")
    for each in found:
        rows.add_row(*(str(value) for value in each.values()))
    out.print(rows)


def verify(
    folder: Annotated[Path | None, typer.Argument(help="One backup; default: all in ATRIUM_BACKUP_DIR.")] = None,
    data: DataOption = None,
) -> None:
    """Read every file of the backups and compare it with its checksum. Exit code 1 if one is damaged."""
    place = backups_folder(settings_with(data))
    damaged = 0
    for path in [each.path for each in _backups(place)] if folder is None else [folder.absolute()]:
        try:
            check_backup(path)
        except BackupError as error:
            damaged += 1
            out.print(f"[red]{path.name}[/red]: {error}", soft_wrap=True)
        else:
            out.print(f"{path.name}: whole")
    raise typer.Exit(int(damaged > 0))


def prune_backups(
    keep: Annotated[int, typer.Option("--keep", min=1, help="Backups that stay, the newest.")] = KEEP_DEFAULT,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Remove all backups but the newest, and the log that none of those needs."""
    place = backups_folder(settings_with(data))
    try:
        done = prune(place, place / WAL_FOLDER, keep)
    except (BackupError, OSError) as error:
        raise DatabaseError(str(error)) from error
    if as_json:
        print_json(done)
    else:
        out.print(f"{len(done.backups)} backups and {done.segments} segments of the log removed")


def archive(data: DataOption = None) -> None:
    """Archive the log up to now, without waiting until a segment is full."""
    settings = _embedded(settings_with(data))
    wal = backups_folder(settings) / WAL_FOLDER
    if not wal.is_dir():
        raise BadSettingsError(f"nothing is archived into {wal} yet: make a backup first")
    with database_for_command(settings) as url:
        try:
            segment = switch_segment(url)
        except BackupError as error:
            raise DatabaseError(str(error)) from error
        if not await_archived(wal, segment):
            raise DatabaseError(f"{segment} did not come into {wal}: the database's log says why")
    out.print(f"archived up to {segment}")


def _embedded(settings: Settings) -> Settings:
    if settings.database_url is not None:
        raise BadSettingsError("DATABASE_URL is set: back that Postgres up with its own tools")
    return settings


def _backups(place: Path) -> list[Kept]:
    try:
        return backups(place)
    except BackupError as error:
        raise DatabaseError(str(error)) from error


def _listed(kept: Kept, wal: Path) -> dict[str, Any]:
    """Of a row: its name, since when it is whole, its size, and until when one can go from it."""
    size = sum(path.stat().st_size for path in kept.path.rglob("*") if path.is_file() and not path.is_symlink())
    shown = {"backup": kept.path.name, "whole_at": kept.info.finished_at or kept.info.at, "mib": size // 2**20}
    if not kept.info.wal_segment or not segments(wal):
        return {**shown, "log_up_to": "", "warning": ""}
    found = reach(wal, kept.info.wal_segment)
    until = to_rfc3339(int((wal / found.last).stat().st_mtime * 1000)) if found.last else ""
    return {**shown, "log_up_to": until, "warning": "segments are missing after that" if found.gap else ""}


def _now() -> str:
    return to_rfc3339(SystemClock().now_ms())


async def _info(url: str) -> BackupInfo:
    revision = await current_revision(url)
    if revision != head_revision():
        raise BadSettingsError(f"the database is at revision {revision}: `atrium migrate` first")
    database = Database(url)
    try:
        head = await AuditChain(database).head()
        return BackupInfo(at=_now(), revision=revision, audit_head=str(head))
    finally:
        await database.close()

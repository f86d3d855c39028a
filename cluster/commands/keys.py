"""`atrium keys`: the data keys of sealed columns, and the key that wraps them."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.progress import Progress

from actors.kinds import KINDS
from cluster.console import DataOption, JsonOption, err, out, print_json, settings_with, table
from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, ClusterError, DatabaseError, NotFoundError
from cluster.stores import database_for_command, open_keys, without_password
from cluster.trail import noted
from storage.data_keys import read_data_keys
from storage.db import Also
from storage.journal.interface import JournalError
from storage.key_changes import make_current_key, next_key_id, retire_data_key
from storage.key_management import key_service
from storage.key_replacement import Replaced, read_wrapper, replace_key, replace_key_file
from storage.key_wrapping import SETTING, EncryptionKeyError, KeyServiceAwayError, KeyWrapper, local_wrapper
from storage.resealing import IN_CLEAR, Resealed, key_usage, reseal
from storage.sealed_columns import SealedColumn, sealed_columns
from storage.settings import Settings

T = TypeVar("T")

COLUMNS: Final = sealed_columns(
    sorted(name for name, kind in KINDS.items() if kind.sensitive),
    frozenset(name for name, kind in KINDS.items() if kind.once_clear),
)
CHANGEABLE: Final = [column for column in COLUMNS if not column.fixed]
"""What can be sealed anew: only that keeps a key from being retired. A retired one still opens the rest."""

DATA_KEY: Final = "data_key"

NewKeyOption = Annotated[
    Path | None, typer.Option("--new-key-file", help=f"File with the new key in base64; needed if {SETTING} is set.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Data keys of what is encrypted at rest.", no_args_is_help=True)
    group.command("list")(list_keys)
    group.command("rotate")(rotate)
    group.command("reseal")(reseal_all)
    group.command("retire")(retire)
    group.command("rewrap")(rewrap)
    app.add_typer(group, name="keys")


def list_keys(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the data keys, and how many values each has sealed: reads every table with sealed values.

    `in clear` (0) are values of an older release, which `atrium keys reseal` seals.
    """
    settings = settings_with(data)
    with database_for_command(settings) as url:
        stored = _run(url, read_data_keys(url))
        used = _run(url, key_usage(url, COLUMNS))
    current = max((key.id for key in stored if not key.retired), default=0)
    found = [
        {
            "id": key.id,
            "state": "current" if key.id == current else "retired" if key.retired else "old",
            "wrapper": key.wrapper,
            "sealed": used.get(key.id, 0),
        }
        for key in stored
    ]
    if used.get(IN_CLEAR):
        found.append({"id": IN_CLEAR, "state": "in clear", "wrapper": "", "sealed": used[IN_CLEAR]})
    if as_json:
        print_json(found)
        return
    rows = table("#id", "state", "wrapped by", "#sealed")
    for each in found:
        rows.add_row(*(str(value) for value in each.values()))
    out.print(rows)


def rotate(data: DataOption = None) -> None:
    """Make a new data key. Running processes seal with it within ATRIUM_ENCRYPTION_KEYS_REFRESH_S."""
    settings = settings_with(data)
    with database_for_command(settings) as url:
        asyncio.run(open_keys(settings, url))  # there is a first one, and our key is the right one
        made = _run(url, _rotated(settings, url))
    out.print(f"data key {made} is current; running processes use it within {settings.encryption_keys_refresh_s:g} s")


def reseal_all(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Seal with the current data key what older ones sealed, or an older release left in clear, while everything runs.

    May be broken off and repeated. Exit code 1 if something is left, or does not open.
    """
    settings = settings_with(data)
    with database_for_command(settings) as url:
        done, left = _run(url, _reseal(settings, url))
    if as_json:
        print_json({"walked": done.walked, "resealed": done.resealed, "damaged": done.damaged, "left": left})
    else:
        out.print(f"{done.resealed} of {done.walked} values sealed anew")
        if done.damaged:
            out.print(f"[red]{done.damaged} values do not open[/red] and stay as they are; the log says where from")
        if left:
            out.print(
                f"{left} values are under older keys or in clear: run it again when all processes have the new key"
            )
    raise typer.Exit(int(bool(left or done.damaged)))


def retire(key_id: Annotated[int, typer.Argument(metavar="ID")], data: DataOption = None) -> None:
    """Retire a data key that seals nothing any more. It stays in the table, for backups are not resealed."""
    with database_for_command(settings_with(data)) as url:
        if key_id not in {key.id for key in _run(url, read_data_keys(url))}:
            raise NotFoundError(f"there is no data key {key_id}")
        used = _run(url, key_usage(url, CHANGEABLE)).get(key_id, 0)
        if used:
            raise ClusterError(f"data key {key_id} seals {used} values: `atrium keys reseal` first")
        if not _run(url, retire_data_key(url, key_id, noted("data_key_retired", DATA_KEY, str(key_id)))):
            raise ClusterError(f"data key {key_id} is current or retired already")
    out.print(f"data key {key_id} is retired")


def rewrap(
    new_key_file: NewKeyOption = None,
    to_kms: Annotated[bool, typer.Option("--to-kms", help="By the key management service of ATRIUM_KMS_URL.")] = False,
    from_kms: Annotated[
        bool, typer.Option("--from-kms", help=f"From that service to {SETTING}, or to the file in keys/.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Replace the key-encryption key: by a new one in the data folder, by that in a file, or by a service's."""
    settings = settings_with(data)
    if sum((to_kms, from_kms, new_key_file is not None)) > 1:
        raise BadSettingsError("only one of --to-kms, --from-kms and --new-key-file")
    if to_kms or from_kms:
        _moved(settings, to_kms=to_kms)
        return
    if settings.kms_url is not None:
        raise BadSettingsError("ATRIUM_KMS_URL is set: rotate the key there, or leave it with --from-kms")
    if settings.encryption_key is not None and new_key_file is None:
        raise BadSettingsError(f"{SETTING} is set: give the new key with --new-key-file, then set that")
    with database_for_command(settings) as url:
        done = _run(url, _rewrapped(settings, url, new_key_file))
    out.print(f"{done.count} data keys are wrapped by {done.wrapper} now")
    if done.put_aside:
        out.print(f"the key of before is {done.put_aside}: backups of before need it", soft_wrap=True)
    else:
        out.print(f"set {SETTING} to the new key everywhere and restart before the next `atrium keys rotate`")


def _moved(settings: Settings, *, to_kms: bool) -> None:
    """Between the local key-encryption key and the key management service."""
    service = key_service(settings)
    if service is None:
        raise BadSettingsError("ATRIUM_KMS_URL is not set")
    folder = DataDir(settings.data_dir).keys
    with database_for_command(settings) as url:
        local = _local(folder, settings, create=not to_kms)
        old, new = (local, service) if to_kms else (service, local)
        done = _run(url, replace_key(url, old, new, _rewrapping))
    out.print(f"{done.count} data keys are wrapped by {done.wrapper} now")
    what = "set ATRIUM_KMS_URL" if to_kms else "unset ATRIUM_KMS_URL"
    out.print(f"{what} everywhere and restart before the next `atrium keys rotate`; backups of before need the old key")


def _local(folder: Path, settings: Settings, *, create: bool) -> KeyWrapper:
    try:
        return local_wrapper(folder, settings.encryption_key, create=create)
    except EncryptionKeyError as error:
        raise BadSettingsError(str(error)) from error


async def _rotated(settings: Settings, url: str) -> int:
    folder = DataDir(settings.data_dir).keys
    wrapper = key_service(settings) or local_wrapper(folder, settings.encryption_key, create=False)
    key_id = await next_key_id(url)
    await make_current_key(url, wrapper, key_id, noted("data_key_made", DATA_KEY, str(key_id)))
    return key_id  # of two at once, one has made it


def _rewrapping(wrapper: str) -> Also:
    return noted("data_keys_rewrapped", DATA_KEY, "", f"by {wrapper}")


async def _rewrapped(settings: Settings, url: str, new_key_file: Path | None) -> Replaced:
    folder = DataDir(settings.data_dir).keys
    if new_key_file is None:
        return await replace_key_file(url, folder, _rewrapping)
    old = local_wrapper(folder, settings.encryption_key, create=False)
    return await replace_key(url, old, read_wrapper(new_key_file), _rewrapping)


async def _reseal(settings: Settings, url: str) -> tuple[Resealed, int]:
    keys = await open_keys(settings, url)
    with Progress(console=err, transient=True) as shown:
        task = shown.add_task("resealing", total=None)

        def progress(column: SealedColumn, done: Resealed) -> None:
            shown.update(task, description=f"{column.name}: {done.walked} walked, {done.resealed} sealed anew")

        done = await reseal(url, keys, CHANGEABLE, progress)
    used = await key_usage(url, CHANGEABLE)
    return done, sum(count for key, count in used.items() if key != keys.current)


def _run(url: str, work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except EncryptionKeyError as error:
        raise BadSettingsError(str(error)) from error
    except KeyServiceAwayError as error:
        raise DatabaseError(f"the key management service {error}") from error
    except (OSError, JournalError) as error:
        raise DatabaseError(f"the database {without_password(url)} cannot be used: {error}") from error

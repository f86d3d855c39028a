"""`atrium export --masked FILE`: the tables without anything personal, for where no personal data may be."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from actors.kinds import KINDS
from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, ClusterError
from cluster.stores import database_for_command, open_keys
from services.privacy.limits import DEFAULTS
from services.privacy.masked_export import MaskedExport, masking_key
from storage.db import Database
from storage.privacy.masking import Masker
from storage.settings import Settings
from storage.whole_files import whole_file


def register(app: typer.Typer) -> None:
    app.command("export")(export)


def export(
    file: Annotated[Path, typer.Argument(help="A zip that does not exist yet.")],
    masked: Annotated[bool, typer.Option("--masked", help="With pseudonyms in place of what is personal.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Write all tables, masked, while everything runs. The same value has the same pseudonym in every export."""
    if not masked:
        raise BadSettingsError("only masked exports are made: --masked (a copy of everything is `atrium backup`)")
    settings = settings_with(data)
    with database_for_command(settings) as url:
        counts = asyncio.run(_export(settings, url, file))
    if as_json:
        print_json({"file": str(file), "rows": counts})
        return
    rows = table("table", "#rows")
    for name, count in counts.items():
        rows.add_row(name, str(count))
    out.print(rows)


async def _export(settings: Settings, url: str, file: Path) -> dict[str, int]:
    keys = await open_keys(settings, url)
    database = Database(url, settings.model_copy(update={"database_timeout_s": DEFAULTS.statement_seconds}))
    try:
        masker = Masker(masking_key(DataDir(settings.data_dir).keys))
        with whole_file(file) as opened:
            return await MaskedExport(database, keys, KINDS, masker).write(opened)
    except FileExistsError as error:
        raise BadSettingsError(f"{file} exists already") from error
    except BlockingIOError as error:
        raise BadSettingsError(f"{file} is being written by another export") from error
    except (OSError, ValueError) as error:
        raise ClusterError(f"the export was not written: {type(error).__name__}") from error
    finally:
        await database.close()

"""`atrium journal show KIND/ID`: what happened to one entity, in order."""

import asyncio
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from actors.kinds import KINDS
from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.errors import BadSettingsError, NotFoundError
from cluster.stores import database_for_command, open_keys
from domain.times import to_rfc3339
from services.history import History, Recorded
from storage.journal.postgres import PostgresJournal
from storage.settings import Settings

_FIELD_CHARACTERS_MAX = 160


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What happened to an entity.", no_args_is_help=True)
    group.command("show")(show)
    app.add_typer(group, name="journal")


def show(
    entity: Annotated[str, typer.Argument(metavar="KIND/ID", help="For example order/0192f0c1-….")],
    after: Annotated[int, typer.Option("--after", help="Only versions above this.")] = 0,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show the events of one entity, oldest first."""
    kind, _, entity_id = entity.partition("/")
    if kind not in KINDS or not entity_id:
        raise BadSettingsError(f"{entity} is not KIND/ID; kinds are {', '.join(sorted(KINDS))}")
    settings = settings_with(data)
    with database_for_command(settings) as url:
        rows = asyncio.run(_read(settings, url, kind, entity_id, after))
    if not rows:
        raise NotFoundError(f"the journal has nothing of {entity}")
    if as_json:
        for row in rows:
            print_json(_document(row))
        return
    shown = table("#version", "time", "by", "event", "details")
    for row in rows:
        for event in row.events:
            fields = msgspec.to_builtins(event)
            name = fields.pop("type")
            details = ", ".join(f"{key}={value}" for key, value in fields.items())
            if len(details) > _FIELD_CHARACTERS_MAX:
                details = details[: _FIELD_CHARACTERS_MAX - 1] + "…"
            # Text, not markup: what users wrote is shown as it is.
            shown.add_row(
                str(row.meta.version), to_rfc3339(row.meta.time_ms), Text(row.meta.actor), name, Text(details)
            )
    out.print(shown, soft_wrap=True)


async def _read(settings: Settings, url: str, kind: str, entity_id: str, after: int) -> list[Recorded]:
    keys = await open_keys(settings, url) if KINDS[kind].sensitive else None
    async with PostgresJournal(url) as journal:
        return await History(journal, {kind: KINDS[kind]}, keys).of(kind, entity_id, after=after)


def _document(row: Recorded) -> dict[str, Any]:
    return {
        "version": row.meta.version,
        "time": to_rfc3339(row.meta.time_ms),
        "actor": row.meta.actor,
        "device": row.meta.device,
        "command_id": row.meta.command_id.hex(),
        "events": [msgspec.to_builtins(event) for event in row.events],
    }

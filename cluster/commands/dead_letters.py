"""`atrium dead-letters`: journal rows that a reaction gave up on."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.errors import NotFoundError
from cluster.stores import database_for_command
from domain.times import to_rfc3339
from storage.db import Database
from storage.reactions import DeadLetterRecord, ReactionTables

_PAGE = 500


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What reactions gave up on.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("retry")(retry)
    app.add_typer(group, name="dead-letters")


def list_letters(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List them, oldest first."""
    with database_for_command(settings_with(data)) as url:
        letters = asyncio.run(_all(url))
    if as_json:
        print_json(letters)
        return
    rows = table("id", "failed", "reaction", "entity", "#version", "#attempts", "error")
    for letter in letters:
        # Text, not markup: an error may quote anything.
        error = Text(letter.error.partition("\n")[0])
        entity = f"{letter.kind}/{letter.entity_id}"
        failed = to_rfc3339(letter.failed_at_ms)
        rows.add_row(letter.id, failed, letter.reaction, entity, str(letter.version), str(letter.attempts), error)
    out.print(rows if letters else "no dead letters")


def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")], as_json: JsonOption = False, data: DataOption = None
) -> None:
    """Show one with its whole error."""
    with database_for_command(settings_with(data)) as url:
        letter = asyncio.run(_get(url, letter_id))
    if letter is None:
        raise NotFoundError(f"there is no dead letter {letter_id}")
    if as_json:
        print_json(letter)
        return
    out.print(f"{letter.reaction} gave up on {letter.kind}/{letter.entity_id} version {letter.version}")
    out.print(f"after {letter.attempts} attempts, at {to_rfc3339(letter.failed_at_ms)}:\n")
    out.print(letter.error, markup=False)


def retry(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Or `all`.")],
    data: DataOption = None,
) -> None:
    """Have one (or all) tried again by the running installation, or by the next one."""
    with database_for_command(settings_with(data)) as url:
        count = asyncio.run(_retry(url, letter_id))
    if count == 0 and letter_id != "all":
        raise NotFoundError(f"there is no dead letter {letter_id}")
    out.print(f"{count} to be tried again")


async def _all(url: str) -> Sequence[DeadLetterRecord]:
    database = Database(url)
    try:
        letters: list[DeadLetterRecord] = []
        while page := await ReactionTables(database).list(letters[-1].id if letters else "", _PAGE):
            letters += page
        return letters
    finally:
        await database.close()


async def _get(url: str, letter_id: str) -> DeadLetterRecord | None:
    database = Database(url)
    try:
        return await ReactionTables(database).get(letter_id)
    finally:
        await database.close()


async def _retry(url: str, letter_id: str) -> int:
    wanted = [letter.id for letter in await _all(url)] if letter_id == "all" else [letter_id]
    database = Database(url)
    try:
        return sum([await ReactionTables(database).retry(each) for each in wanted])
    finally:
        await database.close()

"""`atrium audit`: whether the audit trail is still what was written."""

import asyncio
from typing import Annotated

import typer
from rich.progress import Progress

from cluster.console import DataOption, JsonOption, err, out, print_json, settings_with
from cluster.errors import BadSettingsError
from cluster.stores import database_for_command
from storage.audit_chain import Head, parse_head
from storage.audit_reading import ALTERED, INSERTED, MISSING, OTHER_HEAD, AuditChain, Verified
from storage.db import Database

_MEANING = {
    ALTERED: "it does not follow from the event before: it was changed, or some before it were taken out or put in",
    MISSING: "events from here on are missing",
    INSERTED: "it is behind the head: it was put in",
    OTHER_HEAD: "its hash is not the head's: the chain was made anew",
}

HeadOption = Annotated[
    str | None,
    typer.Option("--head", metavar="POSITION:HASH", help="A head of earlier, as `atrium audit head` gave it."),
]
AfterOption = Annotated[int, typer.Option("--after", min=0, help="Begin behind this position.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Whether the audit trail is what was written.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("head")(head)
    app.add_typer(group, name="audit")


def verify(
    head: HeadOption = None, after: AfterOption = 0, as_json: JsonOption = False, data: DataOption = None
) -> None:
    """Check every event against the one before. Exit code 1, and the first broken position, if one is wrong."""
    kept = None if head is None else _parsed(head)
    with database_for_command(settings_with(data)) as url:
        found = asyncio.run(_verify(url, after, kept))
    broken = found.broken
    if as_json:
        print_json(
            {"ok": broken is None, "checked": found.checked, "last": found.last.position, "head": str(found.head)}
            | ({} if broken is None else {"broken_at": broken.position, "reason": broken.reason})
        )
    elif broken is None:
        out.print(f"{found.checked} events are right; the head is {found.head}", soft_wrap=True)
    else:
        out.print(f"{found.checked} events are right, up to position {found.last.position}")
        out.print(f"[red]broken at position {broken.position}[/red]: {_MEANING[broken.reason]}", soft_wrap=True)
    raise typer.Exit(int(broken is not None))


def head(data: DataOption = None) -> None:
    """Print where the chain ends. Keep it elsewhere: a trail that was shortened or made anew does not have it."""
    with database_for_command(settings_with(data)) as url:
        found = asyncio.run(_head(url))
    print(found, flush=True)


def _parsed(text: str) -> Head:
    try:
        return parse_head(text)
    except ValueError:
        raise BadSettingsError("--head is a position, a colon and 64 hexadecimal digits") from None


async def _verify(url: str, after: int, kept: Head | None) -> Verified:
    database = Database(url)
    try:
        with Progress(console=err, transient=True) as shown:
            task = shown.add_task("verifying", total=None)

            def progress(position: int, last: int) -> None:
                shown.update(task, completed=position, total=last)

            return await AuditChain(database).verify(after, kept=kept, progress=progress)
    finally:
        await database.close()


async def _head(url: str) -> Head:
    database = Database(url)
    try:
        return await AuditChain(database).head()
    finally:
        await database.close()

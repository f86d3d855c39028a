"""`atrium migrate`: bring the database to this release's schema."""

import asyncio
from typing import Annotated

import typer

from cluster.console import DataOption, out, settings_with
from cluster.stores import database_for_command, migrate, without_password
from storage.migrate import current_revision, head_revision


def register(app: typer.Typer) -> None:
    app.command("migrate")(run)


def run(
    check: Annotated[bool, typer.Option("--check", help="Only say whether it is needed; exit code 1 if so.")] = False,
    data: DataOption = None,
) -> None:
    """Bring the database to this release's schema, in one transaction. `atrium up` does so by itself."""
    with database_for_command(settings_with(data)) as url:
        before = asyncio.run(current_revision(url))
        shown = f"{without_password(url)} at revision {before or 'none'}"
        if check:
            out.print(f"{shown}, this release needs {head_revision()}", soft_wrap=True)
            raise typer.Exit(int(before != head_revision()))
        after = migrate(url)
        out.print(f"{shown}: {'already current' if after == before else f'now at {after}'}", soft_wrap=True)

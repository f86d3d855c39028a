"""What all commands share: where they print, and how they find their settings."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cluster.errors import BadSettingsError
from storage.settings import Settings

_PIPED_WIDTH: Final = 200
"""Columns when nobody's terminal says: wide enough that lines stay lines for `grep`."""

out: Final = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
err: Final = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPED_WIDTH)

DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the installation (default ./.atrium).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def settings_with(data: Path | None = None, **values: Any) -> Settings:
    """The settings of the environment, with what the command line gives (None: not given).

    Raises `BadSettingsError`.
    """
    given = {name: value for name, value in {"data_dir": data, **values}.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'settings'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise BadSettingsError(reasons) from None


def print_json(document: Any) -> None:
    """One line on standard output, whatever the terminal's width."""
    print(msgspec.json.encode(document).decode(), flush=True)


def table(*columns: str, title: str = "") -> Table:
    """A plain table; columns that start with `#` are right-aligned numbers."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        name, justify = column.removeprefix("#"), "right" if column.startswith("#") else "left"
        made.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return made

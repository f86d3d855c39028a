"""The policy as `docs/access.md` has it: read by the walk, written anew by `python -m tests.serve.access`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.serve.access import fields, operations, routes
from tests.serve.access.people import COLUMNS, PEOPLE
from tests.serve.access.walk import Row

PAGE: Final = Path(__file__).parents[3] / "docs" / "access.md"
SECTIONS: Final[dict[str, tuple[str, Mapping[str, object]]]] = {
    "route": ("HTTP routes", routes.PROBES),
    "field": ("GraphQL fields", fields.FIELDS),
    "command": ("Commands of devices", operations.COMMANDS),
    "signal": ("Signals of devices", operations.SIGNALS),
    "channel": ("Channels of sockets", operations.CHANNELS),
}
"""By the walk's name of it: the heading, and the rows."""

_SIDES: Final = {column: [one.side for one in PEOPLE if one.column == column] for column in COLUMNS}


def policy(section: str) -> dict[str, Row]:
    """The section's table by row name."""
    found: dict[str, Row] = {}
    for line in _body(SECTIONS[section][0]).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == len(COLUMNS) + 1 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = _row(cells[1:])
    return found


def sockets() -> dict[str, str]:
    """The table of endpoints: path → what it lets through."""
    return dict(re.findall(r"^\| `(/[^`]*)` \| (.*) \|$", _body("Sockets"), re.MULTILINE))


def written(section: str, rows: Mapping[str, Row]) -> None:
    """Put a table of these rows in the place of the section's."""
    head = ["", *(column.replace("_", " ") for column in COLUMNS)]
    cells = [
        [f"`{name}`", *(" / ".join(row[column, side] for side in _SIDES[column]) for column in COLUMNS)]
        for name, row in rows.items()
    ]
    write_table(SECTIONS[section][0], head, cells)


def table(heading: str) -> list[list[str]]:
    """The rows of the one table under this heading."""
    lines = [line for line in _body(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def write_table(heading: str, head: list[str], rows: list[list[str]]) -> None:
    """Put this table in the place of the one under the heading."""
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    text = PAGE.read_text(encoding="utf-8")
    body = _body(heading)
    kept = "\n".join(line for line in body.splitlines() if not line.startswith("|")).strip()
    PAGE.write_text(text.replace(body, "\n".join(["", kept, "", *lines, ""]) + "\n"), encoding="utf-8")


def _row(cells: list[str]) -> Row:
    row: Row = {}
    for column, cell in zip(COLUMNS, cells, strict=True):
        for side, word in zip(_SIDES[column], cell.split(" / "), strict=True):
            row[column, side] = word
    return row


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _body(heading: str) -> str:
    """What is between this heading and the next."""
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]

"""The documentation as the tests read it."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW: Final = re.compile(r"^\| `(?P<name>[^`]+)` \|(?P<rest>.*)\|$", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands below a heading of a page, up to the next one of its rank or above."""
    mark = heading.split(" ", 1)[0]
    text = _FENCE.sub(lambda block: block.group().replace("\n#", "\n "), page(name))
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"{name} has no heading `{heading}`"
    return re.split(rf"^#{{1,{len(mark)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for tag, body in _FENCE.findall(text) if tag == language]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def rows(text: str) -> dict[str, list[str]]:
    """Table rows that begin with `a name`: the name and the other cells."""
    return {match["name"]: [cell.strip() for cell in match["rest"].split(" | ")] for match in _ROW.finditer(text)}

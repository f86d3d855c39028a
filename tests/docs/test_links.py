"""Links, files, commands and rules that the documentation names exist."""

import re
from pathlib import Path

import pytest

from cluster.cli import COMMANDS
from tests.docs.pages import PAGES, ROOT, page, prose, rows, section

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FILE = re.compile(r"`((?:domain|storage|actors|services|realtime|jobs|serve|cluster|loadtests|tests|docs)/[\w./-]+)`")
_COMMAND = re.compile(r"\batrium ([a-z][a-z-]+)\b")
_MAKE = re.compile(r"`make ([a-z]+)")
_SOURCES = ("domain", "storage", "actors", "services", "realtime", "jobs", "serve", "cluster")

ids = [str(path.relative_to(ROOT)) for path in PAGES]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as renderers make them."""
    headings = _HEADING.findall(prose(path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in _LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(found), f"{found.name} has no heading #{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_every_file_that_is_named_exists(path: Path) -> None:
    missing = [name for name in _FILE.findall(prose(path.read_text(encoding="utf-8"))) if not (ROOT / name).exists()]
    assert not missing


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    documented = {
        command for name in rows(section("docs/operations.md", "## The commands")) for command in _COMMAND.findall(name)
    }
    assert documented == set(COMMANDS)


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_commands_in_the_text_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    in_code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^(?:\$ )?(atrium .+)$", text, re.MULTILINE)])
    assert set(_COMMAND.findall(in_code)) <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    assert set(_MAKE.findall(text)) <= targets


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:4] for path in PAGES if path.parent.name == "decisions"]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_rules_that_the_code_cites_are_written_down() -> None:
    sources = [path.read_text(encoding="utf-8") for room in _SOURCES for path in (ROOT / room).rglob("*.py")]
    cited = {rule for source in sources for rule in re.findall(r"\b[Rr]ule (M\d+)|\((M\d+)(?:, (M\d+))?\)", source)}
    documented = rows_by_rule(section("docs/carts-and-orders.md", "## Rules that the code cites"))
    assert {rule for match in cited for rule in match if rule} <= documented


def rows_by_rule(text: str) -> set[str]:
    return set(re.findall(r"^\| (M\d+) \|", text, re.MULTILINE))

"""What the security page names is there."""

import re

import pytest

from tests.docs.pages import ROOT, section

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(
    set(re.findall(r"`((?:tests|cluster|services|serve|storage|docs|actors|realtime|loadtests)/[\w./-]+)`", PAGE))
)
MAPPINGS = ("## HIPAA", "## PCI DSS 4.0.1", "## GDPR")


@pytest.mark.parametrize("name", NAMED)
def test_every_file_that_it_names_exists(name: str) -> None:
    assert (ROOT / name).is_file(), name


def test_every_test_that_it_names_has_tests() -> None:
    tests = [name for name in NAMED if name.startswith("tests/")]
    assert len(tests) > 40
    for name in tests:
        assert re.search(
            r"^(async )?def test_|^class \w+\(", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
        ), name


@pytest.mark.parametrize("heading", MAPPINGS)
def test_every_safeguard_is_shown_by_a_test_or_said_to_be_the_operators(heading: str) -> None:
    lines = [line for line in section("docs/security.md", heading).splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 8
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert "`tests/" in cells[-1] or "yours" in line, line


def test_every_hostile_test_is_on_the_page() -> None:
    hostile = {f"tests/hostile/{path.name}" for path in (ROOT / "tests" / "hostile").glob("test_*.py")}
    assert hostile <= set(NAMED)

"""The page of charting says what `actors/document*.py` and the domain say."""

import re

from actors import document_values as limits
from actors.document import DocumentKind
from actors.document_alerts import AlertKind
from actors.document_status import OPEN, TRANSITIONS, DocumentStatus
from domain.dose import DOSE_THOUSANDTHS_MAX, UNITS
from domain.face_map import SCALE, VIEWS
from domain.times import MINUTE_MS
from tests.docs.pages import blocks, rows, section

PAGE = "docs/charting.md"
STATUS = section(PAGE, "## Status")
_ARROW = re.compile(r"^ +(\w+) --> (\w+)", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_the_diagram_of_the_document_has_exactly_the_transitions_of_the_table() -> None:
    (diagram,) = blocks(STATUS, "mermaid")
    assert set(_ARROW.findall(diagram)) == {(before.value, after.value) for before, after in TRANSITIONS}
    assert {status.value for status in DocumentStatus} <= set(re.findall(r"\w+", diagram))


def test_the_table_of_the_document_says_by_what_and_who_may() -> None:
    documented = {
        (before, after): (set(causes.split(", ")), set(who.split(", ")))
        for before, after, causes, who in _ROW.findall(STATUS)
    }
    assert documented == {
        (before.value, after.value): (
            {cause.value for cause in step.causes},
            {party.value for party in step.parties},
        )
        for (before, after), step in TRANSITIONS.items()
    }


def test_every_operation_is_documented_with_its_fields() -> None:
    documented: dict[str, set[str]] = {}
    for line in section(PAGE, "## Operations").splitlines():
        cell = line.partition(" | ")[0]
        fields = re.search(r"\{([^}]*)\}", cell)
        for name in re.findall(r"`([a-z_]+)[` ]", cell) if line.startswith("| `") else ():
            documented[name] = set(fields[1].split(", ")) if fields else set()
    assert set(documented) == {shape.__struct_config__.tag for shape in DocumentKind.commands}
    for shape in DocumentKind.commands:
        named = documented[shape.__struct_config__.tag]
        asked = set(shape.__struct_encode_fields__) - {"base_version", "authenticated_ms"}
        assert named in (asked, {"point_id", "…"}), shape


def test_alerts_are_documented() -> None:
    assert set(rows(section(PAGE, "## Alerts"))) == {kind.value for kind in AlertKind}


def test_open_statuses_are_documented() -> None:
    listed = re.search(r"still to do something \(([^)]*)\)", section(PAGE, "## Who sees what").replace("\n", " "))
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == {status.value for status in OPEN}


def test_points_and_doses_are_as_documented() -> None:
    text = section(PAGE, "## Points and doses").replace("\n", " ")
    assert f"0 to {SCALE}." in text
    assert f"up to {DOSE_THOUSANDTHS_MAX // 1_000:,}, in {' or '.join(f'`{unit}`' for unit in UNITS)}" in text
    assert all(f"`{view}`" in text for view in VIEWS)


def test_limits_of_a_document_are_documented() -> None:
    text = section(PAGE, "## Limits")
    for line in (
        f"text of a field, a note or an addendum | {limits.VALUE_LENGTH_MAX:,} characters",
        f"all texts of a document | {limits.TEXT_LENGTH_MAX:,} characters",
        f"whole number of a field | ±{limits.NUMBER_MAX:,}",
        f"fields | {limits.FIELDS_MAX}",
        f"points | {limits.POINTS_MAX}",
        f"containers | {limits.CONTAINERS_MAX}",
        f"records of wastage | {limits.WASTAGE_MAX}",
        f"notes | {limits.NOTES_MAX}",
        f"photos | {limits.PHOTOS_MAX}",
        f"size of a photo | {limits.PHOTO_BYTES_MAX:,} bytes",
        f"addenda | {limits.ADDENDA_MAX}",
        f"conflicts, resolved ones too | {limits.CONFLICTS_MAX}",
        f"late entries | {limits.LATE_ENTRIES_MAX}",
        f"participants | {limits.PARTICIPANTS_MAX};",
        f"reason | {limits.REASON_LENGTH_MAX} characters",
        f"title, printed name, meaning | {limits.TITLE_LENGTH_MAX} characters",
        f"template, technique, depth, lot, view of a photo | {limits.DETAIL_LENGTH_MAX} characters",
        f"proof of who signs | {limits.REAUTH_MS // MINUTE_MS} minutes old",
        f"a signature | {limits.INTENT_MS // MINUTE_MS} minutes on its way",
    ):
        assert f"| {line}" in text, line
    assert limits.TITLE_LENGTH_MAX == limits.PRINTED_NAME_LENGTH_MAX == limits.MEANING_LENGTH_MAX
    assert limits.TEMPLATE_LENGTH_MAX == limits.DETAIL_LENGTH_MAX
    signing = section(PAGE, "## Signing")
    assert f"within {limits.REAUTH_MS // MINUTE_MS} minutes" in signing
    assert f"more than {limits.INTENT_MS // MINUTE_MS} minutes ago" in signing

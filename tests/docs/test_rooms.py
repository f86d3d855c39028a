"""The room's diagram and tables are those of `actors/room_status.py`."""

import re

from actors.room_state import (
    HOLD_MINUTES_DEFAULT,
    HOLD_MINUTES_MAX,
    KIND_LENGTH_MAX,
    NAME_LENGTH_MAX,
    REASON_LENGTH_MAX,
)
from actors.room_status import LONG_WAIT_MS, TRANSITIONS, RoomStatus
from domain.times import MINUTE_MS
from tests.docs.pages import blocks, rows, section

PAGE = "docs/rooms.md"
STATUS = section(PAGE, "## Status")
_ARROW = re.compile(r"^ +(\w+) --> (\w+)", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_the_diagram_of_the_room_has_exactly_the_transitions_of_the_table() -> None:
    (diagram,) = blocks(STATUS, "mermaid")
    assert set(_ARROW.findall(diagram)) == {(before.value, after.value) for before, after in TRANSITIONS}
    assert {status.value for status in RoomStatus} <= set(re.findall(r"\w+", diagram))


def test_the_table_of_the_room_says_who_may_and_when_under_a_claim() -> None:
    documented = {
        (before, after): (set(who.split(", ")), claimed) for before, after, who, claimed in _ROW.findall(STATUS)
    }
    expected = {
        (before.value, after.value): (
            {party.value + ("*" if party in step.reason else "") for party in step.parties},
            "with its token" if step.exclusive else "anybody of these",
        )
        for (before, after), step in TRANSITIONS.items()
    }
    assert documented == expected


def test_long_waits_are_documented() -> None:
    table = re.findall(r"^\| `(\w+)`(?: for `(\w+)`)? \| (\d+) min \|$", section(PAGE, "## Timers"), re.MULTILINE)
    assert {(status, waits): int(minutes) * MINUTE_MS for status, waits, minutes in table} == LONG_WAIT_MS


def test_limits_of_a_room_are_documented() -> None:
    text = section(PAGE, "## Limits")
    assert f"name of a room | {NAME_LENGTH_MAX} characters" in text
    assert f"kind of a room | {KIND_LENGTH_MAX} characters" in text
    assert f"reason | {REASON_LENGTH_MAX} characters" in text
    assert rows(text)["hold_minutes"] == [f"1 to {HOLD_MINUTES_MAX}"]
    assert f"({HOLD_MINUTES_DEFAULT} unless" in section(PAGE, "## Timers")

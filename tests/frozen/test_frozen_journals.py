"""Journals written by earlier versions load for ever (invariant 10).

A fixture is never edited; each new format adds one, and so do events that a schema gains
(`<kind>-v1-erased.json`). Schemas older than the kind's pass its upcaster first.
"""

import json
import re
from pathlib import Path
from typing import Any, Union

import msgspec
import pytest

from actors.kinds import KINDS
from actors.runtime.entity import Meta

FIXTURES = sorted(Path(__file__).parent.glob("*-v*.json"))


def journals() -> list[Any]:
    found = []
    for path in FIXTURES:
        content = json.loads(path.read_text())
        kind = KINDS[path.stem.rsplit("-v", 1)[0]]
        for journal in content["journals"]:
            name = f"{path.stem}: {journal['name']}"
            found.append(pytest.param(kind, content["schema"], journal, id=name))
    return found


def assert_includes(now: Any, then: Any, path: str) -> None:
    """Views may gain fields; what they said then they say now."""
    if isinstance(then, dict):
        for key, value in then.items():
            assert key in now, f"{path}.{key} is gone"
            assert_includes(now[key], value, f"{path}.{key}")
    else:
        assert now == then, path


@pytest.mark.parametrize(("kind", "schema", "journal"), journals())
def test_a_frozen_journal_gives_the_view_it_gave_then(kind, schema, journal):
    state = None
    for row in journal["rows"]:
        meta = Meta(row["version"], row["time_ms"], row["actor"], row["device"], bytes.fromhex(row["command_id"]))
        for raw in row["events"]:
            event = kind.upcast_event(schema, raw) if schema < kind.schema else raw
            typed = msgspec.convert(event, Union[kind.events])  # noqa: UP007 - built at run time
            state = kind.apply(state, typed, meta)
    view = msgspec.to_builtins(kind.view(state, {}, journal["rows"][-1]["version"]))
    assert_includes(json.loads(json.dumps(view)), journal["view"], "view")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_schema_of_a_kind_has_its_fixture(kind):
    assert {path.stem for path in FIXTURES} >= {f"{kind.name}-v{n}" for n in range(1, kind.schema + 1)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_event_of_the_current_schema_is_in_its_fixture(kind):
    paths = [path for path in FIXTURES if re.fullmatch(rf"{kind.name}-v{kind.schema}(-\w+)?", path.stem)]
    journals = [journal for path in paths for journal in json.loads(path.read_text())["journals"]]
    frozen = {event["type"] for j in journals for row in j["rows"] for event in row["events"]}
    tags = {event.__struct_config__.tag for event in kind.events}
    assert frozen >= tags

"""Bytes that earlier releases wrote into the journal load for ever (invariant 10).

`tests/frozen/bytes` is never edited: a new schema adds a file (`freeze.py` writes it).
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.kinds import KINDS
from actors.runtime.cell import Cell, SnapshotUnusableError, restore
from actors.runtime.codec import KindCodec
from actors.runtime.shards import shard_of
from storage.journal.interface import Loaded, Row, Snapshot
from tests.frozen.bytes.keys import FROZEN_KEYS

BYTES = Path(__file__).parents[2] / "frozen" / "bytes"


def frozen() -> list[Any]:
    found = []
    for path in sorted(BYTES.glob("*-v*.json")):
        content = json.loads(path.read_text())
        for journal in content["journals"]:
            name = path.stem.rsplit("-v", 1)[0]
            found.append(pytest.param(name, content["schema"], journal, id=f"{path.stem}: {journal['name']}"))
    return found


def rows_of(kind: str, journal: dict[str, Any]) -> tuple[Row, ...]:
    return tuple(
        Row(
            position=row["version"],
            xid=row["version"],
            kind=kind,
            id=journal["id"],
            version=row["version"],
            command_id=bytes.fromhex(row["command_id"]),
            command_hash=b"h" * 16,
            actor=row["actor"],
            device=row["device"],
            correlation="",
            time_ms=row["time_ms"],
            payload=bytes.fromhex(row["payload"]),
        )
        for row in journal["rows"]
    )


def loaded(kind: str, journal: dict[str, Any], snapshot: Snapshot | None, rows: tuple[Row, ...]) -> Cell:
    cell = Cell(KindCodec(KINDS[kind], FROZEN_KEYS), journal["id"], shard_of(kind, journal["id"]))
    restore(cell, Loaded(kind, journal["id"], snapshot, rows), 1_024)
    return cell


def assert_includes(now: Any, then: Any, path: str = "view") -> None:
    """Views may gain fields; what they said then they say now."""
    if isinstance(then, dict):
        for key, value in then.items():
            assert key in now, f"{path}.{key} is gone"
            assert_includes(now[key], value, f"{path}.{key}")
    else:
        assert now == then, path


def shown(cell: Cell) -> Any:
    return json.loads(msgspec.json.encode(cell.view()))


@pytest.mark.parametrize(("kind", "schema", "journal"), frozen())
def test_frozen_rows_give_the_view_they_gave_then(kind: str, schema: int, journal: dict[str, Any]) -> None:
    rows = rows_of(kind, journal)
    cell = loaded(kind, journal, None, rows)
    assert cell.version == cell.durable == len(rows)
    assert_includes(shown(cell), journal["view"])
    for row in rows:
        assert cell.codec.reply(row.id, row.version, row.payload) == {"version": row.version}
        assert cell.recent.find(row.command_id) == (row.version, row.command_hash)


@pytest.mark.parametrize(("kind", "schema", "journal"), frozen())
def test_a_frozen_snapshot_is_read_or_rebuilt_from_the_journal(kind: str, schema: int, journal: dict[str, Any]) -> None:
    rows = rows_of(kind, journal)
    data = bytes.fromhex(journal["snapshot"])
    snapshot = Snapshot(shard_of(kind, journal["id"]), kind, journal["id"], len(rows), schema, data)
    try:
        cell = loaded(kind, journal, snapshot, ())
    except SnapshotUnusableError:
        assert schema < KINDS[kind].schema
        return
    assert_includes(shown(cell), journal["view"])
    assert all(cell.recent.find(row.command_id) for row in rows)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_schema_of_a_kind_has_its_frozen_bytes(kind: Any) -> None:
    assert {path.stem for path in BYTES.glob("*.json")} >= {f"{kind.name}-v{n}" for n in range(1, kind.schema + 1)}

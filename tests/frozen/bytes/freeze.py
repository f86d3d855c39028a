"""Write the bytes that this release puts into the journal for the journals of `tests/frozen/<kind>-v<schema>*.json`.

    python -m tests.frozen.bytes.freeze cart-v1 order-v1-erased cart-v1:cart-v1-sealed

`journals:file` writes the same journals under another name: when their bytes are others (a kind that has become
sensitive). Run it once for a new schema, never again: what is frozen stays as it is.
"""

import json
import sys
from pathlib import Path
from typing import Any, Union

import msgspec

from actors.kinds import KINDS
from actors.runtime.cell import Cell, restore
from actors.runtime.codec import KindCodec
from actors.runtime.shards import shard_of
from actors.runtime.snapshots import take
from storage.journal.interface import Loaded, Row
from tests.frozen.bytes.keys import FROZEN_KEYS

HERE = Path(__file__).parent


def freeze(stem: str) -> dict[str, Any]:
    """One fixture's journals as bytes (hex): each row's payload, and a snapshot of its last state."""
    name = stem.rsplit("-v", 1)[0]
    kind = KINDS[name]
    codec = KindCodec(kind, FROZEN_KEYS)
    readable = json.loads((HERE.parent / f"{stem}.json").read_text())
    journals = []
    for journal in readable["journals"]:
        rows = [_row(codec, journal["id"], row) for row in journal["rows"]]
        cell = Cell(codec, journal["id"], shard_of(name, journal["id"]))
        restore(cell, Loaded(name, cell.id, None, tuple(rows)), 1_024)
        frozen_rows = [
            {key: value for key, value in row.items() if key != "events"} | {"payload": built.payload.hex()}
            for row, built in zip(journal["rows"], rows, strict=True)
        ]
        journals.append(
            {
                "name": journal["name"],
                "id": journal["id"],
                "rows": frozen_rows,
                "snapshot": take(cell).data.hex(),
                "view": journal["view"],
            }
        )
    return {"schema": kind.schema, "journals": journals}


def _row(codec: KindCodec[Any], id: str, row: dict[str, Any]) -> Row:
    events = [msgspec.convert(event, Union[codec.kind.events]) for event in row["events"]]  # noqa: UP007 - at run time
    payload = codec.pack_events(id, row["version"], events, {"version": row["version"]})
    command_id = bytes.fromhex(row["command_id"])
    actor, device, version = row["actor"], row["device"], row["version"]
    return Row(
        version,
        version,
        codec.kind.name,
        id,
        version,
        command_id,
        b"h" * 16,
        actor,
        device,
        "",
        row["time_ms"],
        payload,
    )


if __name__ == "__main__":
    for one in sys.argv[1:]:
        source, _, target = one.partition(":")
        (HERE / f"{target or source}.json").write_text(json.dumps(freeze(source), indent=1) + "\n")

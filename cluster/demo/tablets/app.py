"""A tablet's app as a process of its own, without a network: made to be killed.

`python -m cluster.demo.tablets.app STORE SUBJECT URL DOCUMENT NOTE` opens the store, shows the chart that is in it,
adds a note, tells what it shows on standard output (one line of JSON, a `Shown`), and waits for the end of its
standard input, or its own.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from cluster.demo.tablets.reconcile import digest
from realtime.client.store import DeviceStore
from realtime.client.tablet import Tablet


class Shown(msgspec.Struct, frozen=True):
    """What the chart looks like at the app's start, and after its note; the note's place in the queue and its id."""

    before: str
    after: str
    queued: int
    seq: int
    note_id: str


def look(path: Path, subject: str, url: str, document_id: str, text: str) -> tuple[Tablet, Shown]:
    """Start the app, offline, and write the note."""
    tablet = Tablet(url, "", DeviceStore.open(path, subject=subject))
    chart = tablet.document(document_id)
    before = digest(chart.state)
    note = chart.note(text, "aftercare")
    return tablet, Shown(before, digest(chart.state), len(tablet.queue), note.seq, note.args["note_id"])


async def main() -> None:
    path, subject, url, document_id, text = sys.argv[1:]
    _tablet, shown = look(Path(path), subject, url, document_id, text)
    print(msgspec.json.encode(shown).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

"""What a new subscription gets first: `subscribed`, and the state of its channel in parts of bounded size."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from realtime.codec import Codec
from realtime.feed import Read, Subscriber
from realtime.frames import Entry, Reference, Snapshot, Subscribed
from realtime.outbox import ASKED


def deliver_snapshot(
    subscriber: Subscriber,
    channel: str,
    reads: Iterable[Read],
    ref: Reference | None,
    gone: Sequence[str],
    part_bytes_max: int,
) -> None:
    """`ref` is the request's, to be given back; `gone` is what the subscriber has and is there no more."""
    codec = subscriber.codec
    subscriber.deliver(codec.encode(Subscribed(ch=channel, id=msgspec.UNSET if ref is None else ref)), None)
    for part in _parts(codec, channel, reads, gone, part_bytes_max):
        subscriber.deliver(part, ASKED)


def _parts(
    codec: Codec, channel: str, reads: Iterable[Read], gone: Sequence[str], part_bytes_max: int
) -> Iterator[bytes]:
    """At least one, the last one with `gone`. A part is over the bound only with a single entity in it."""
    part, size = 0, 0
    entries: list[Entry] = []
    for read in reads:
        raw = codec.raw(read.view)
        read_bytes = len(memoryview(raw))
        if entries and size + read_bytes > part_bytes_max:
            yield codec.encode(Snapshot(channel, part, last=False, entities=entries))
            part, size, entries = part + 1, 0, []
        entries.append(Entry(f"{read.ref[0]}/{read.ref[1]}", read.version, raw))
        size += read_bytes
    yield codec.encode(Snapshot(channel, part, last=True, entities=entries, gone=list(gone)))

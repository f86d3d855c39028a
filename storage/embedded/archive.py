"""The archived log (WAL) of an embedded Postgres: with a backup, the way to any moment since that backup.

Segments of 16 MiB go into a folder as soon as they are full, or 5 minutes after something was written into them. As
long as that folder is not there, nothing is archived: the first backup makes it.
"""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

ARCHIVE_SECONDS: Final = 300
"""At most so much is lost with the machine: a segment with something in it is archived after this, full or not."""
SEGMENT_BYTES: Final = 16 * 1024 * 1024
FLUSH_SECONDS_MAX: Final = 60.0

_SEGMENTS_PER_LOG: Final = 256
_NAME_CHARACTERS: Final = 24
_POLL_S: Final = 0.05


class Reach(msgspec.Struct, frozen=True):
    """How far the log goes on from a segment without a gap: the last one of them ("": not even the first)."""

    last: str
    gap: bool
    """There are later segments, which cannot be reached."""


def archive_settings(folder: Path) -> dict[str, str]:
    """Of a server that archives into `folder`, which its user must be able to write."""
    kept, draft = (f"{_quoted(folder)}/{name}" for name in ("%f", ".%f.new"))
    # Whole or not there at all, on disk before Postgres gives its own up, and never over another server's.
    # A segment that was closed early is zeros at its end, which take no space where cp can leave holes.
    copy = f"{{ cp --sparse=always %p {draft} 2>/dev/null || cp %p {draft}; }} && sync {draft} && mv {draft} {kept}"
    command = f"if [ ! -d {_quoted(folder)} ]; then :; elif [ -f {kept} ]; then cmp -s %p {kept}; else {copy}; fi"
    return {"archive_mode": "on", "archive_command": command, "archive_timeout": f"{ARCHIVE_SECONDS}s"}


def restore_settings(folders: Sequence[Path]) -> dict[str, str]:
    """Of a server that recovers from segments in these folders, the first that has one."""
    tries = [f"cp {_quoted(folder)}/%f %p 2>/dev/null" for folder in folders]
    return {"restore_command": " || ".join(tries)}


def segments(folder: Path) -> list[str]:
    """Names of the archived segments, in the order of the log. Empty if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted((path.name for path in folder.iterdir() if _is_segment(path.name)), key=lambda name: name[8:])


def reach(folder: Path, first: str) -> Reach:
    """How far one comes from the segment `first` on. Which timeline they are of does not matter."""
    numbers = {_number(name): name for name in segments(folder) if _number(name) >= _number(first)}
    at = _number(first)
    while at in numbers:
        at += 1
    last = numbers.get(at - 1, "")
    return Reach(last, gap=any(number > at for number in numbers))


def remove_before(folder: Path, first: str) -> int:
    """Remove what is older than the segment `first`; returns how many."""
    old = [name for name in segments(folder) if _number(name) < _number(first)]
    for name in old:
        (folder / name).unlink()
    return len(old)


def await_archived(folder: Path, segment: str, patience_s: float = FLUSH_SECONDS_MAX) -> bool:
    """Whether the segment came within this time."""
    deadline = time.monotonic() + patience_s
    while not (folder / segment).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _number(name: str) -> int:
    return int(name[8:16], 16) * _SEGMENTS_PER_LOG + int(name[16:24], 16)


def _is_segment(name: str) -> bool:
    return len(name) == _NAME_CHARACTERS and all(each in "0123456789ABCDEF" for each in name)


def _quoted(folder: Path) -> str:
    """For the shell, and for Postgres, which replaces what follows a %."""
    return shlex.quote(str(folder)).replace("%", "%%")

"""Several backups in one folder, beside the archived log: which there are, which leads to a moment, which may go."""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from storage.embedded.archive import remove_before
from storage.embedded.backup import INFO_FILE, BackupError, BackupInfo, read_info

WAL_FOLDER: Final = "wal"
KEEP_DEFAULT: Final = 7
"""Backups that `atrium backup prune` leaves."""


class Kept(msgspec.Struct, frozen=True):
    path: Path
    info: BackupInfo


class Pruned(msgspec.Struct, frozen=True):
    backups: tuple[str, ...]
    segments: int


def backups(folder: Path) -> list[Kept]:
    """All in this folder, the oldest first. What is no backup is passed over."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and (path / INFO_FILE).exists()]
    return sorted((Kept(path, read_info(path)) for path in found), key=lambda one: one.info.at)


def choose(folder: Path, until: datetime | None) -> Path:
    """`folder` itself if it is a backup, else the newest in it that was whole by then. Raises `BackupError`."""
    if (folder / INFO_FILE).exists():
        _check_time(Kept(folder, read_info(folder)), until)
        return folder
    found = [each for each in backups(folder) if until is None or _whole_at(each.info) <= until]
    if not found:
        raise BackupError(f"{folder} has no backup{'' if until is None else f' that was whole by {until.isoformat()}'}")
    return found[-1].path


def prune(folder: Path, wal: Path, keep: int) -> Pruned:
    """Remove all but the newest `keep` backups (at least one), and the log that none of those needs."""
    if keep < 1:
        raise ValueError("at least one backup is kept")
    there = backups(folder)
    old, kept = there[:-keep], there[-keep:]
    for each in old:
        _remove(each.path)
    first = _first_needed(kept)
    return Pruned(tuple(each.path.name for each in old), remove_before(wal, first) if first else 0)


def _first_needed(kept: Sequence[Kept]) -> str:
    """The first segment of the log that one of them needs; "" if one does not say."""
    needed = [each.info.wal_segment for each in kept]
    return min(needed, key=lambda name: name[8:]) if needed and all(needed) else ""


def _remove(path: Path) -> None:
    """Renamed first: one that is half removed does not look like a backup."""
    dying = path.with_name(f".{path.name}.removed")
    path.rename(dying)
    shutil.rmtree(dying)


def _check_time(kept: Kept, until: datetime | None) -> None:
    if until is not None and _whole_at(kept.info) > until:
        raise BackupError(f"{kept.path} was whole only at {_whole_at(kept.info).isoformat()}: take an older one")


def _whole_at(info: BackupInfo) -> datetime:
    return datetime.fromisoformat(info.finished_at or info.at)

"""The archived log as files: what is a segment, how far it goes on, what may go."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.embedded.archive import archive_settings, await_archived, reach, remove_before, segments
from storage.embedded.backup import INFO_FILE, BackupError, restore
from storage.embedded.retention import backups, choose, prune


def log(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"


def test_only_segments_count_and_in_the_order_of_the_log(tmp_path: Path) -> None:
    log(tmp_path, segment(256, 2), segment(2), segment(255), "00000002.history", f".{segment(3)}.new", "backup")
    assert segments(tmp_path) == [segment(2), segment(255), segment(256, 2)]
    assert segments(tmp_path / "none") == []


def test_the_log_goes_on_until_the_first_gap_also_over_a_change_of_timeline(tmp_path: Path) -> None:
    log(tmp_path, *(segment(number) for number in (3, 254, 255)), segment(256, 2), segment(300, 2))
    found = reach(tmp_path, segment(254))
    assert (found.last, found.gap) == (segment(256, 2), True)
    assert reach(tmp_path, segment(300)).gap is False
    assert reach(tmp_path, segment(4)).last == ""


def test_what_is_older_than_a_segment_is_removed(tmp_path: Path) -> None:
    log(tmp_path, segment(1), segment(255), segment(256), "00000002.history")
    assert remove_before(tmp_path, segment(256)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {segment(256), "00000002.history"}


def test_waiting_for_a_segment_ends(tmp_path: Path) -> None:
    log(tmp_path, segment(1))
    assert await_archived(tmp_path, segment(1), 0.0)
    assert not await_archived(tmp_path, segment(2), 0.0)


def test_a_folder_name_cannot_say_anything_to_the_shell_or_to_postgres(tmp_path: Path) -> None:
    command = archive_settings(tmp_path / "a b'; %f $(x)")["archive_command"]
    assert "%%f $(x)" in command
    assert "'\"'\"'" in command


def test_the_backup_that_leads_to_a_moment_is_chosen_and_the_newest_are_kept(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        place = tmp_path / f"day-{day}"
        place.mkdir()
        times = f'"at":"2026-11-0{day}T00:00:00.000Z","finished_at":"2026-11-0{day}T01:00:00.000Z"'
        (place / INFO_FILE).write_text(
            f'{{{times},"revision":"0001","audit_head":"0:00","wal_segment":"{segment(day * 10)}"}}'
        )
    wal = tmp_path / "wal"
    wal.mkdir()
    log(wal, *(segment(number) for number in range(5, 40)))
    assert choose(tmp_path, datetime(2026, 11, 2, 12, tzinfo=UTC)).name == "day-2"
    assert choose(tmp_path, datetime(2026, 11, 3, 0, 30, tzinfo=UTC)).name == "day-2"
    assert choose(tmp_path, None).name == "day-3"
    with pytest.raises(BackupError, match="no backup"):
        choose(tmp_path, datetime(2026, 11, 1, 0, 30, tzinfo=UTC))
    with pytest.raises(BackupError, match="take an older one"):
        choose(tmp_path / "day-3", datetime(2026, 11, 3, 0, 30, tzinfo=UTC))
    with pytest.raises(ValueError, match="at least one"):
        prune(tmp_path, wal, 0)
    done = prune(tmp_path, wal, 2)
    assert (done.backups, done.segments) == (("day-1",), 15)
    assert [each.path.name for each in backups(tmp_path)] == ["day-2", "day-3"]


def test_a_restore_that_fails_halfway_leaves_no_server_to_be_started_empty(tmp_path: Path) -> None:
    source = tmp_path / "backup"
    source.mkdir()
    (source / "password").write_text("secret")
    with pytest.raises(OSError, match="data"):  # the disk is full, the backup's disk is gone
        restore(source, tmp_path / "postgres")
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]

"""Files that are there whole or not at all, whatever becomes of who writes them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.whole_files import remove_abandoned, whole_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def fail(path: Path, failure: type[BaseException]) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise failure


def test_the_file_is_there_when_it_is_whole_and_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    with whole_file(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["copy.zip"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_of_one_that_failed_or_was_called_off_nothing_is_left(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure):
        fail(tmp_path / "copy.zip", failure)
    assert names(tmp_path) == []


def test_one_that_is_there_stays_as_it_is_also_if_it_came_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    with pytest.raises(FileExistsError), whole_file(path):
        path.write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError), whole_file(path):
        pytest.fail("it was there")
    assert path.read_bytes() == b"of somebody else"
    assert names(tmp_path) == ["copy.zip"]


def test_while_it_is_written_nobody_else_writes_or_clears_it_away(tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    with whole_file(path) as file:
        file.write(b"mine")
        with pytest.raises(BlockingIOError), whole_file(path):
            pytest.fail("it is being written")
        assert remove_abandoned(tmp_path) == 0
    assert path.read_bytes() == b"mine"


WRITER = """
import sys, time
from pathlib import Path
from storage.whole_files import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half of a long file")
    file.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_one_left_goes_with_the_next_to_that_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "a.zip")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [".a.zip.atrium-part"]
    with whole_file(tmp_path / "b.zip") as file:
        file.write(b"b")
    assert names(tmp_path) == ["b.zip"]
    with whole_file(tmp_path / "a.zip") as file:
        file.write(b"a")
    assert (tmp_path / "a.zip").read_bytes() == b"a"


def test_a_link_in_the_draft_s_place_leads_nowhere(tmp_path: Path) -> None:
    """Whoever may write to the folder does not choose where the export goes."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / ".copy.zip.atrium-part").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"), whole_file(tmp_path / "copy.zip"):
        pytest.fail("it would be written elsewhere")
    assert not elsewhere.exists()

"""Files that are there whole or not at all: written under another name beside the one they get at the end.

Whoever writes holds a lock on the draft, which ends with the process: so a draft without a lock is what somebody who
was killed left, and goes when the next file is written to that folder.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_PREFIX: Final = "."
_SUFFIX: Final = ".atrium-part"
_OWN: Final = 0o600


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, its owner's alone, at `path` once the block has ended well; else nothing is left of it.

    Raises `FileExistsError` if it is there, also at the end, `BlockingIOError` while somebody else writes it, and
    `OSError`.
    """
    _refuse_if_there(path)
    remove_abandoned(path.parent)
    draft = path.with_name(f"{_PREFIX}{path.name}{_SUFFIX}")
    with _locked(draft) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _refuse_if_there(path)
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def remove_abandoned(folder: Path) -> int:
    """Delete the drafts that nobody writes any more; how many. Raises `OSError`."""
    count = 0
    for draft in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(BlockingIOError, FileNotFoundError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()
            count += 1
    return count


def _refuse_if_there(path: Path) -> None:
    if path.exists():
        raise FileExistsError(path)


@contextmanager
def _locked(draft: Path) -> Iterator[BinaryIO]:
    while True:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, _OWN), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink:  # else it was cleared away before it was locked
                file.truncate(0)
                yield file
                return

"""Running a tool of the virtual environment, and finding what is in the tree."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS_MAX: Final = 120.0


def run(command: Sequence[str], root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """In `root`, whatever it returns. Raises `TimeoutExpired`."""
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)  # noqa: S603 - words of this program, names of its files


def run_module(module: str, arguments: Sequence[str], root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments` in `root`."""
    return run([sys.executable, "-m", module, *arguments], root)


def tracked_files(root: Path = ROOT) -> list[str]:
    """Paths that git knows, relative to `root`, without what was deleted. Raises `OSError` outside of a repository."""
    listed = run(["git", "ls-files", "-z"], root)
    if listed.returncode:
        raise OSError("this is no git repository: there are no tracked files to look at")
    return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]

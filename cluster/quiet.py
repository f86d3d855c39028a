"""Keep Ray from writing between our lines.

Ray prints what befalls its workers to standard output, from threads of its own and without a switch for it. `--json`
promises one line there, and the demo kills a worker on purpose: so these lines go to a file.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

_RAYS_THREADS = "ray_"


class Sorter:
    """Standard output for everybody but Ray's threads, whose lines go to `file`. All else is the stream's own."""

    def __init__(self, stream: TextIO, file: TextIO) -> None:
        self._stream = stream
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _mine(self) -> TextIO:
        return self._file if threading.current_thread().name.startswith(_RAYS_THREADS) else self._stream

    def write(self, text: str) -> int:
        return self._mine().write(text)

    def flush(self) -> None:
        self._mine().flush()


@contextmanager
def rays_lines_in(path: Path) -> Iterator[None]:
    """Within, what Ray's threads print to standard output and standard error is appended to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = sys.stdout, sys.stderr
    with path.open("a", encoding="utf-8") as file:
        sys.stdout, sys.stderr = (cast("TextIO", Sorter(stream, file)) for stream in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before

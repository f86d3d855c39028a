"""The zip of an export, sealed as it is written: one record at a time is in memory."""

import json
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from storage.sealed_files import SealedWriter

_INDENT: Final = "  "
_BUFFER_BYTES: Final = 65_536


class Archive:
    """JSON files, each an array that is written element by element. `with` it; `path` is whole when the block ends."""

    def __init__(self, path: Path, key: bytes, place: str) -> None:
        self._file = SealedWriter(path, key, place)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)
        self.files = 0

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    def list(self, name: str) -> "JsonList":
        """A file with an array; close it before the next one."""
        self.files += 1
        return JsonList(self._zip, name)

    def document(self, name: str, document: Any) -> None:
        self.files += 1
        self._zip.writestr(name, _text(document))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, failed: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if failed is None:
            self._zip.close()
        self._file.__exit__(failed, error, at)


class JsonList:
    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._member = archive.open(name, "w", force_zip64=True)
        self._waiting = bytearray(b"[")
        self.count = 0

    def add(self, document: Any) -> None:
        self._waiting += b",\n" if self.count else b"\n"
        self._waiting += _text(document).encode()
        self.count += 1
        if len(self._waiting) > _BUFFER_BYTES:
            self._member.write(self._waiting)
            self._waiting.clear()

    def close(self) -> None:
        self._waiting += b"\n]\n" if self.count else b"]\n"
        self._member.write(self._waiting)
        self._member.close()


def _text(document: Any) -> str:
    return json.dumps(msgspec.to_builtins(document), indent=_INDENT, ensure_ascii=False)

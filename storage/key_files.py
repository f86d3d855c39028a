"""Keys as text and as files: written once, for the owner's eyes, found again by every later process."""

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32


def key_bytes(text: str) -> bytes:
    """The 32 bytes that `text` gives in base64. Raises `ValueError`, which does not show them."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"must be base64 of {_KEY_BYTES} bytes")
    return key


def new_key_text() -> str:
    """A new random key as `key_bytes` reads it."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def write_once(path: Path, content: bytes) -> None:
    """Write `path` with mode 0600, and its folder if there is none; if the file exists, do nothing.

    Safe for several processes at once: the file appears whole or not at all, and the first wins.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first: its key is the one
    finally:
        draft.unlink()

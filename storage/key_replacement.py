"""Replacing the key-encryption key: all data keys are wrapped anew, what they sealed stays as it is.

The key in a file is replaced in this order, so that whoever breaks it off begins again where it was: the new key is
written beside the old, the data keys are wrapped by it in one transaction, the old one is put aside (backups of
before need it), the new one takes its place.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from storage.db import Also, nothing_else
from storage.key_changes import rewrap_data_keys
from storage.key_files import key_bytes, new_key_text, write_once
from storage.key_wrapping import KEY_FILE, EncryptionKeyError, KeyWrapper, LocalWrapper, local_wrapper

NEXT_FILE: Final = f"{KEY_FILE}.next"


class Replaced(msgspec.Struct, frozen=True):
    """How many data keys were wrapped anew, by which key, and where the old one was put ("": it was in no file)."""

    count: int
    wrapper: str
    put_aside: str


async def replace_key_file(url: str, folder: Path, also: Callable[[str], Also] = lambda _: nothing_else) -> Replaced:
    """Replace the key in the folder's file by a new one. `also` is given the name of what wraps from now on.

    Raises `EncryptionKeyError`, `OSError`, `JournalError`.
    """
    path, fresh = folder / KEY_FILE, folder / NEXT_FILE
    old = local_wrapper(folder, None, create=False)
    write_once(fresh, f"{new_key_text()}\n".encode())
    new = read_wrapper(fresh)
    count = await rewrap_data_keys(url, old, new, also(new.name))
    aside = folder / f"{KEY_FILE}.{old.name.partition(':')[2]}"
    write_once(aside, path.read_bytes())
    fresh.replace(path)
    return Replaced(count, new.name, str(aside))


async def replace_key(
    url: str, old: KeyWrapper, new: KeyWrapper, also: Callable[[str], Also] = lambda _: nothing_else
) -> Replaced:
    """Wrap by another key that the caller keeps. Raises like `replace_key_file`."""
    return Replaced(await rewrap_data_keys(url, old, new, also(new.name)), new.name, "")


def read_wrapper(path: Path) -> LocalWrapper:
    """The wrapper under the key in a file. Raises `EncryptionKeyError`."""
    try:
        return LocalWrapper(key_bytes(path.read_text()))
    except (OSError, ValueError) as error:
        raise EncryptionKeyError(f"the key-encryption key in {path} cannot be used: {error}") from None

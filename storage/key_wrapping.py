"""The key-encryption key: what data keys are wrapped with, so that the database never holds one in clear.

`LocalWrapper` has the key in this process: from `ATRIUM_ENCRYPTION_KEY`, or without it from a file in the data folder's
`keys/` that is made once. With a key management service (`storage/transit.py`) it is in no process of ours.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from storage.key_files import key_bytes, new_key_text, write_once

KEY_FILE: Final = "data-encryption.key"
SETTING: Final = "ATRIUM_ENCRYPTION_KEY"
_NONCE_BYTES: Final = 12
_NAME_CHARACTERS: Final = 16


class EncryptionKeyError(Exception):
    """There is no key-encryption key, or it is not the one with which this database was written."""


class KeyServiceAwayError(OSError):
    """A key management service cannot be asked now."""


class KeyWrapper(Protocol):
    """Wraps data keys under a key-encryption key that need not be in this process.

    `name` tells one key-encryption key from another and gives nothing of it away. `context` is authenticated:
    unwrapping needs the same. Both methods raise `EncryptionKeyError` when this is the wrong key, and
    `OSError` when it cannot be asked now.
    """

    @property
    def name(self) -> str: ...

    async def wrap(self, key: bytes, context: bytes) -> bytes: ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...


class LocalWrapper:
    """AES-256-GCM in this process; what it wraps is nonce, ciphertext, tag."""

    def __init__(self, key: bytes) -> None:
        self.name = "local:" + hmac.new(key, b"name of this key", hashlib.sha256).hexdigest()[:_NAME_CHARACTERS]
        self._key = AESGCM(key)

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._key.encrypt(nonce, key, context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._key.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise EncryptionKeyError(f"a data key is damaged, or not wrapped by {self.name}") from None


def local_wrapper(folder: Path | None, setting: SecretStr | None, *, create: bool) -> LocalWrapper:
    """The wrapper under the key of the setting, else of the file in `folder`, which `create` allows to make.

    Raises `EncryptionKeyError` when there is neither, or the file cannot be made or read, or holds no key.
    """
    if setting is not None:
        return LocalWrapper(key_bytes(setting.get_secret_value()))
    if folder is None:
        raise EncryptionKeyError(f"there is no {SETTING}, and no folder in which a key could be")
    path = folder / KEY_FILE
    try:
        if create:
            write_once(path, f"{new_key_text()}\n".encode())
        return LocalWrapper(key_bytes(path.read_text()))
    except FileNotFoundError:
        raise EncryptionKeyError(
            f"the database was written with a key-encryption key, and there is neither {SETTING} nor {path}"
        ) from None
    except (OSError, ValueError) as error:
        raise EncryptionKeyError(f"the key-encryption key in {path} cannot be used: {error}") from None

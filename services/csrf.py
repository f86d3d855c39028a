"""CSRF tokens: of each login its own, known to whoever has the signing key, and to the pages that may ask for it."""

import hmac
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.signing_keys import SigningKey

_KEY_BYTES: Final = 32
_PURPOSE: Final = b"atrium csrf v1"


class Csrf:
    """HMAC-SHA256 of the login's id, under a key that is derived from the signing key: the same in every gateway."""

    def __init__(self, signing: SigningKey) -> None:
        secret = signing.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._key = HKDF(SHA256(), _KEY_BYTES, None, _PURPOSE).derive(secret)

    def of(self, login: str) -> str:
        return hmac.new(self._key, login.encode(), sha256).hexdigest()

    def holds(self, login: str, token: str) -> bool:
        """No token of a login that is none."""
        return bool(login) and hmac.compare_digest(self.of(login).encode(), token.encode("utf-8", "replace"))

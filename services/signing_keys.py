"""RSA keys of the token issuer: made once in the data directory, found again by every later process."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

from storage.key_files import write_once

PRIVATE_KEY_FILE = "token-signing.pem"
_RSA_BITS = 2048


class SigningKey(msgspec.Struct, frozen=True):
    """A private key and the id that tokens carry in `kid`: the RFC 7638 thumbprint of its public half."""

    kid: str
    private: RSAPrivateKey

    @property
    def public(self) -> RSAPublicKey:
        return self.private.public_key()


def load_or_create_signing_key(directory: Path) -> SigningKey:
    """The development key pair in `directory`, made on the first call with mode 0600.

    Safe for several processes starting at once: the file appears whole or not at all, and the first wins.
    Raises `ValueError` when the file holds anything but an RSA private key.
    """
    path = directory / PRIVATE_KEY_FILE
    if not path.exists():
        write_once(path, _new_pem())
    return signing_key(path.read_bytes())


def signing_key(pem: bytes) -> SigningKey:
    """Read a PEM private key. Raises `ValueError` when it is not RSA of at least 2,048 bits."""
    private = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(private, RSAPrivateKey) or private.key_size < _RSA_BITS:
        raise ValueError(f"the signing key must be RSA of at least {_RSA_BITS} bits")
    return SigningKey(thumbprint(private.public_key()), private)


def verifying_key(pem: bytes) -> tuple[str, RSAPublicKey]:
    """Read a PEM public key: (kid, key)."""
    public = serialization.load_pem_public_key(pem)
    if not isinstance(public, RSAPublicKey) or public.key_size < _RSA_BITS:
        raise ValueError(f"a verifying key must be RSA of at least {_RSA_BITS} bits")
    return thumbprint(public), public


def public_jwk(kid: str, key: RSAPublicKey) -> dict[str, Any]:
    """The public key as a JSON Web Key (RFC 7517)."""
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": kid,
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
    }


def thumbprint(key: RSAPublicKey) -> str:
    """RFC 7638: SHA-256 of the required members, in lexical order without white space."""
    numbers = key.public_numbers()
    members = {"e": _base64url(numbers.e), "kty": "RSA", "n": _base64url(numbers.n)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _new_pem() -> bytes:
    private = generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

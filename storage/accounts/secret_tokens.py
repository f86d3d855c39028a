"""Tokens that are only random: refresh tokens and what is mailed. Only their hash is kept."""

import hashlib
import secrets
from typing import Final

_BYTES: Final = 32


def new_token() -> str:
    """256 random bits as 43 characters that fit a URL."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> bytes:
    """SHA-256 of it; so much randomness needs no salt."""
    return hashlib.sha256(token.encode()).digest()

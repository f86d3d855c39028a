"""What an API key looks like: `atr_live_`, 43 random characters, and six that check the rest.

A scanner of source code recognizes one without asking anybody, and a mistyped one is refused without a look at the
database. All characters are letters and digits: a double click selects the whole.
"""

import hashlib
import re
import secrets
import zlib
from typing import Final

PREFIX: Final = "atr_live_"
SHOWN_CHARACTERS: Final = len(PREFIX) + 6
"""So much of a key is kept in clear, to recognize it by; the other 37 random characters have 220 bits."""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM: Final = 43
_CHECK: Final = 6
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}")


def new_key() -> str:
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _check_of(body)


def is_key(text: str) -> bool:
    """Whether this is a whole key, mistyped nowhere."""
    return _FORM.fullmatch(text) is not None and text[-_CHECK:] == _check_of(text[:-_CHECK])


def looks_like_key(text: str) -> bool:
    return text.startswith("atr_")


def key_hash(key: str) -> bytes:
    """SHA-256 of it; so much randomness needs no salt."""
    return hashlib.sha256(key.encode()).digest()


def _check_of(body: str) -> str:
    """CRC-32 to the base 62."""
    rest, found = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        rest, digit = divmod(rest, len(_ALPHABET))
        found = _ALPHABET[digit] + found
    return found

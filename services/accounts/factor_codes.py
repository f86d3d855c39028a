"""Codes that people type: those of authenticator apps (RFC 6238) and recovery codes. No state, no clock."""

import hashlib
import hmac
import secrets
from typing import Final

from pyotp import TOTP, random_base32

STEP_SECONDS: Final = 30
DIGITS: Final = 6
SECRET_CHARACTERS: Final = 32
"""Of Base32: 160 bits, as RFC 4226 wants."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's: no letter looks like another or like a digit."""
_CHARACTERS: Final = 16
_GROUP: Final = 4
_READ: Final = str.maketrans("oil", "011", " -")


def new_secret() -> str:
    """What an authenticator app is given, in Base32."""
    return random_base32(SECRET_CHARACTERS)


def otpauth_uri(secret: str, account: str, issuer: str) -> str:
    """What authenticator apps read from a QR code."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def is_totp(code: str) -> bool:
    """Whether this has the form of an authenticator app's code; blanks are for reading."""
    plain = code.replace(" ", "")
    return len(plain) == DIGITS and plain.isascii() and plain.isdigit()


def matching_step(secret: str, code: str, now_ms: int, *, after: int, drift_steps: int) -> int:
    """The time step whose code this is, of those within `drift_steps` of now and after the step `after`; else -1."""
    totp, plain = TOTP(secret), code.replace(" ", "")
    here, found = now_ms // 1_000 // STEP_SECONDS, -1
    for step in range(max(0, here - drift_steps), here + drift_steps + 1):
        same = hmac.compare_digest(totp.generate_otp(step).encode(), plain.encode())
        if same and step > after and found < 0:
            found = step
    return found


def new_recovery_codes(count: int) -> tuple[str, ...]:
    """80 random bits each, as `xxxx-xxxx-xxxx-xxxx`."""
    return tuple(_grouped("".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))) for _ in range(count))


def recovery_hash(user_id: str, code: str) -> bytes:
    """What is kept of a code: SHA-256, which so much randomness needs no salt for, bound to its owner.

    Upper and lower case, blanks, hyphens, and letters that look like digits are the same.
    """
    return hashlib.sha256(f"{user_id}/{code.lower().translate(_READ)}".encode(errors="replace")).digest()


def _grouped(plain: str) -> str:
    return "-".join(plain[start : start + _GROUP] for start in range(0, len(plain), _GROUP))

"""Second factors and challenges as the tables keep them. Times are milliseconds UTC, 0 for "not yet"."""

from typing import Final, Literal

import msgspec

TOTP: Final = "totp"
PASSKEY: Final = "passkey"
Kind = Literal["totp", "passkey"]
Purpose = Literal["login", "enrolment", "passkey_registration", "passkey_login"]


class TotpRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator app. `secret` is in Base32; `last_step` is the newest time step that was used."""

    id: str
    user_id: str
    name: str
    secret: str
    created_at_ms: int
    last_step: int = 0
    confirmed_at_ms: int = 0
    last_used_at_ms: int = 0


class PasskeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey. `public_key` is a COSE key; `backed_up`: a password manager keeps it on other devices too."""

    id: str
    credential_id: bytes
    user_id: str
    name: str
    public_key: bytes
    sign_count: int
    created_at_ms: int
    transports: tuple[str, ...] = ()
    backed_up: bool = False
    last_used_at_ms: int = 0


class ChallengeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A question with one answer. `user_id` "": whoever answers it.

    Of a login: `device` and `organization_id` as it was begun, `amr` how far they have proved themselves.
    """

    hash: bytes
    purpose: Purpose
    issued_at_ms: int
    expires_at_ms: int
    user_id: str = ""
    device: str = ""
    organization_id: str = ""
    amr: tuple[str, ...] = ()


class Added(msgspec.Struct, frozen=True):
    """What became of a new factor: `refused` is "", `unknown`, `taken` or `full`.

    `codes`: the recovery codes that came with it hold, because there were none before.
    """

    refused: str = ""
    codes: bool = False

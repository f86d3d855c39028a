"""People, their logins and their tokens as the tables keep them. Times are milliseconds UTC, 0 for "not yet"."""

from enum import StrEnum

import msgspec


class UserStatus(StrEnum):
    """`pending` until the address is proved; only `active` people log in."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `roles` are those that hold without an organization. `password_hash` "" is no password.

    `phone` is in the form of E.164. `version` rises with each change of what is shown of them.
    """

    id: str
    email: str
    name: str
    status: UserStatus
    created_at_ms: int
    updated_at_ms: int
    password_hash: str = ""
    roles: tuple[str, ...] = ("customer",)
    locale: str = "en"
    time_zone: str = "UTC"
    verified_at_ms: int = 0
    phone: str = ""
    version: int = 1
    deleted_at_ms: int = 0


class Changed(StrEnum):
    """What became of a change of somebody's rights or state."""

    DONE = "done"
    MISSING = "missing"
    """Nobody there whom it could be done to."""
    STALE = "stale"
    """They are not at the expected version."""
    LAST_ADMIN = "last_admin"
    """It would have left no admin."""


class PositionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody said they are, in hundredths of degrees."""

    lat_hundredths: int
    lon_hundredths: int
    consented_at_ms: int
    expires_at_ms: int


class MembershipRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`active`: whether the organization is; if not, the role gives nothing."""

    user_id: str
    organization_id: str
    role: str
    active: bool = True


class LoginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A login session. `organization_id` "" is the person for themselves; `device` is what they call it."""

    id: str
    user_id: str
    organization_id: str
    device: str
    auth_time_ms: int
    created_at_ms: int
    last_used_at_ms: int
    expires_at_ms: int
    """However often it is refreshed."""
    amr: tuple[str, ...] = ()
    """How they proved who they are (RFC 8176): `pwd`, `otp`, `pop`, `mfa`."""
    revoked_at_ms: int = 0
    revoked_for: str = ""


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was mailed. `purpose`: `verify` (a registration), `reset` (a password), `email` (an address).

    `payload` is what spending it does: kept sealed.
    """

    hash: bytes
    purpose: str
    user_id: str
    payload: bytes
    issued_at_ms: int
    expires_at_ms: int


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a refresh token. `token` is its successor, "" when `refused` says why there is none:
    `unknown`, `expired`, `revoked` or `reused` (which has just revoked the whole login)."""

    login: LoginRecord | None = None
    token: str = ""
    refused: str = ""

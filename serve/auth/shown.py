"""What answers show of people and their logins."""

import msgspec

from domain.times import to_rfc3339
from services.accounts.logins import Opened
from services.tokens import Tokens
from storage.accounts.records import LoginRecord, UserRecord


class ShownUser(msgspec.Struct, omit_defaults=True):
    id: str
    email: str
    name: str
    status: str
    locale: str
    time_zone: str
    created_at: str
    verified_at: str = ""


class ShownAccess(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    subject: str
    roles: tuple[str, ...]
    organizations: tuple[str, ...]


class ShownLogin(ShownAccess):
    refresh_token: str
    session_id: str
    user: ShownUser


class ShownMembership(msgspec.Struct, omit_defaults=True):
    organization_id: str
    roles: tuple[str, ...]
    name: str = ""


class ShownSession(msgspec.Struct, omit_defaults=True):
    subject: str
    roles: tuple[str, ...]
    organizations: tuple[str, ...]
    expires_at: str
    memberships: list[ShownMembership]
    authenticated_at: str = ""
    amr: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    user: ShownUser | None = None


class ShownLoginSession(msgspec.Struct, omit_defaults=True):
    id: str
    device: str
    authenticated_at: str
    last_used_at: str
    expires_at: str
    organization_id: str = ""


def user_shown(user: UserRecord) -> ShownUser:
    return ShownUser(
        id=user.id,
        email=user.email,
        name=user.name,
        status=user.status.value,
        locale=user.locale,
        time_zone=user.time_zone,
        created_at=to_rfc3339(user.created_at_ms),
        verified_at=to_rfc3339(user.verified_at_ms) if user.verified_at_ms else "",
    )


def access_shown(opened: Opened, tokens: Tokens) -> ShownAccess:
    return ShownAccess(
        opened.access_token,
        "Bearer",
        tokens.access_ttl_seconds,
        opened.user.id,
        opened.grant.roles,
        opened.grant.organizations,
    )


def login_shown(opened: Opened, tokens: Tokens) -> ShownLogin:
    return ShownLogin(
        **msgspec.structs.asdict(access_shown(opened, tokens)),
        refresh_token=opened.refresh_token,
        session_id="" if opened.login is None else opened.login.id,
        user=user_shown(opened.user),
    )


def login_session_shown(login: LoginRecord) -> ShownLoginSession:
    return ShownLoginSession(
        id=login.id,
        device=login.device,
        authenticated_at=to_rfc3339(login.auth_time_ms or login.created_at_ms),
        last_used_at=to_rfc3339(login.last_used_at_ms),
        expires_at=to_rfc3339(login.expires_at_ms),
        organization_id=login.organization_id,
    )

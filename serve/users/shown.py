"""What answers show of people."""

import msgspec

from domain.times import to_rfc3339
from serve.auth.shown import ShownUser, user_shown
from services.accounts.people import Found
from storage.accounts.records import PositionRecord, UserRecord

_HUNDREDTHS = 100


class ShownProfile(ShownUser, omit_defaults=True):
    phone: str = ""


class ShownRoles(msgspec.Struct):
    organization_id: str
    roles: tuple[str, ...]


class ShownPerson(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    name: str
    memberships: list[ShownRoles]
    email: str = ""
    phone: str = ""
    status: str = ""
    roles: tuple[str, ...] = ()
    created_at: str = ""
    deleted_at: str = ""


class ShownPosition(msgspec.Struct):
    lat: float
    lon: float
    consented_at: str
    expires_at: str


def profile_shown(user: UserRecord) -> ShownProfile:
    return ShownProfile(**msgspec.structs.asdict(user_shown(user)), phone=user.phone)


def person_shown(found: Found) -> ShownPerson:
    user = found.user
    person = ShownPerson(
        id=user.id, name=user.name, memberships=[ShownRoles(id_, roles) for id_, roles in found.roles.items()]
    )
    if not found.whole:
        return person
    return msgspec.structs.replace(
        person,
        email=user.email,
        phone=user.phone,
        status=user.status.value,
        roles=user.roles,
        created_at=to_rfc3339(user.created_at_ms),
        deleted_at=to_rfc3339(user.deleted_at_ms) if user.deleted_at_ms else "",
    )


def position_shown(position: PositionRecord) -> ShownPosition:
    return ShownPosition(
        position.lat_hundredths / _HUNDREDTHS,
        position.lon_hundredths / _HUNDREDTHS,
        to_rfc3339(position.consented_at_ms),
        to_rfc3339(position.expires_at_ms),
    )

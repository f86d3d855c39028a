"""Who may do what: one table, for everything that is not a live entity's own turn.

A row says what somebody has to be to a thing (`actors.parties`), and what a refusal says. HTTP routes, device commands,
sockets and GraphQL fields ask it through `services.access.check`; `docs/access.md` shows it, and a test compares both.
What may be done to a live entity depends on its state, so its status machine says that, with the same parties
(`actors/*_status.py`); who sees one is the `SEES` next to it, and is taken over here.
"""

from enum import StrEnum
from typing import Final

import msgspec

from actors import document_status, room_status
from actors.parties import Parties, Party


class Permission(StrEnum):
    """`noun.what`."""

    ORGANIZATION_SEE = "organization.see"
    ORGANIZATION_CREATE = "organization.create"
    ORGANIZATION_CHANGE = "organization.change"
    ORGANIZATION_SUSPEND = "organization.suspend"
    MEMBERS_MANAGE = "members.manage"
    LOCATION_SEE = "location.see"
    LOCATION_MANAGE = "location.manage"
    MERCHANT_CREATE = "merchant.create"
    MERCHANT_RUN = "merchant.run"
    ORDER_SHARE = "order.share"
    ORDERS_OF_PERSON = "orders.of_person"
    ORDERS_OF_MERCHANT = "orders.of_merchant"
    ORDERS_OF_COURIER = "orders.of_courier"
    ROOM_SEE = "room.see"
    ROOMS_HELD = "rooms.held"
    SESSION_KEEP = "session.keep"
    DOCUMENT_SEE = "document.see"
    DOCUMENT_WRITE = "document.write"
    DOCUMENTS_OWN = "documents.own"
    EMERGENCY_TAKE = "emergency.take"
    EMERGENCY_REVIEW = "emergency.review"
    EMERGENCY_REVOKE = "emergency.revoke"
    PEOPLE_SEARCH = "people.search"
    PERSON_SEE = "person.see"
    PERSON_SEE_WHOLE = "person.see_whole"
    PERSON_SET_ROLES = "person.set_roles"
    PERSON_MANAGE = "person.manage"
    PERSON_DELETE = "person.delete"
    PERSON_EXPORT = "person.export"
    PERSON_DOWNLOAD = "person.download"
    JOB_SEE = "job.see"
    AUDIT_READ = "audit.read"
    PLATFORM_RUN = "platform.run"


class Rule(msgspec.Struct, frozen=True):
    """Who, and what all others hear: as of something that does not exist, or (`forbidden`) that it is not for them."""

    parties: Parties
    refusal: str
    forbidden: bool = False


_P = Party
_ADMINS: Final = (_P.ADMIN, _P.PLATFORM)
_STAFF: Final = (_P.MERCHANT, _P.PROVIDER, _P.FRONT_DESK, _P.ORGANIZER, _P.BILLING, _P.ADMIN)


def _rule(*who: Party, refusal: str, forbidden: bool = False) -> Rule:
    return Rule(frozenset(who), refusal, forbidden)


_NOTHING: Final = "There is no such resource."
_ORDERS: Final = "There is no such list of orders."
_PERSON: Final = "There is no such person."
_GRANT: Final = "There is no such emergency access."
_CHANNEL: Final = "There is no such channel."

RULES: Final[dict[Permission, Rule]] = {
    Permission.ORGANIZATION_SEE: _rule(_P.MEMBER, _P.PLATFORM, refusal="There is no such organization."),
    Permission.ORGANIZATION_CREATE: _rule(*_ADMINS, refusal=_NOTHING),
    Permission.ORGANIZATION_CHANGE: _rule(*_ADMINS, refusal="Its admins change it.", forbidden=True),
    Permission.ORGANIZATION_SUSPEND: _rule(_P.PLATFORM, refusal="There is no such organization."),
    Permission.MEMBERS_MANAGE: _rule(*_ADMINS, refusal="There is no such organization."),
    Permission.LOCATION_SEE: Rule(room_status.SEES, "There is no such location."),
    Permission.LOCATION_MANAGE: _rule(_P.ADMIN, refusal="There is no such location."),
    Permission.MERCHANT_CREATE: _rule(_P.PLATFORM, refusal=_NOTHING),
    Permission.MERCHANT_RUN: _rule(_P.MERCHANT, *_ADMINS, refusal="There is no such merchant."),
    Permission.ORDER_SHARE: _rule(
        _P.OWNER, _P.MERCHANT, refusal="Only the customer and the merchant share an order.", forbidden=True
    ),
    Permission.ORDERS_OF_PERSON: _rule(_P.OWNER, _P.PLATFORM, refusal=_ORDERS),
    Permission.ORDERS_OF_MERCHANT: _rule(_P.MERCHANT, *_ADMINS, refusal=_ORDERS),
    Permission.ORDERS_OF_COURIER: _rule(_P.COURIER, _P.PLATFORM, refusal=_ORDERS),
    Permission.ROOM_SEE: Rule(room_status.SEES, "There is no such room."),
    Permission.ROOMS_HELD: _rule(_P.OWNER, refusal=_CHANNEL),
    Permission.SESSION_KEEP: Rule(room_status.SEES, "Provider sessions are for the people of a clinic.", True),
    Permission.DOCUMENT_SEE: Rule(document_status.SEES, "There is no such document."),
    Permission.DOCUMENT_WRITE: _rule(
        _P.PROVIDER, refusal="Only a provider of the organization writes in a document.", forbidden=True
    ),
    Permission.DOCUMENTS_OWN: _rule(_P.OWNER, refusal=_CHANNEL),
    # Staff of a clinic whose work is not to chart. Providers and admins see the documents anyway.
    Permission.EMERGENCY_TAKE: _rule(_P.FRONT_DESK, refusal="There is no such document."),
    Permission.EMERGENCY_REVIEW: _rule(_P.ADMIN, refusal=_GRANT),
    Permission.EMERGENCY_REVOKE: _rule(_P.OWNER, _P.ADMIN, refusal=_GRANT),
    Permission.PEOPLE_SEARCH: _rule(*_STAFF, _P.PLATFORM, refusal="No such resource."),
    Permission.PERSON_SEE: _rule(_P.OWNER, *_STAFF, _P.PLATFORM, refusal=_PERSON),
    Permission.PERSON_SEE_WHOLE: _rule(_P.OWNER, *_ADMINS, refusal=_PERSON),
    Permission.PERSON_SET_ROLES: _rule(*_ADMINS, refusal=_PERSON),
    Permission.PERSON_MANAGE: _rule(_P.PLATFORM, refusal=_PERSON),
    Permission.PERSON_DELETE: _rule(_P.OWNER, _P.PLATFORM, refusal=_PERSON),
    Permission.PERSON_EXPORT: _rule(_P.OWNER, _P.PLATFORM, refusal=_PERSON),
    Permission.PERSON_DOWNLOAD: _rule(_P.OWNER, refusal="There is no such export."),
    Permission.JOB_SEE: _rule(_P.OWNER, _P.PLATFORM, refusal="There is no such job."),
    Permission.AUDIT_READ: _rule(*_ADMINS, refusal="No such resource."),
    Permission.PLATFORM_RUN: _rule(_P.PLATFORM, refusal="No such resource."),
}

"""What somebody is to a thing: the only place that reads an actor's roles and organizations.

Live entities decide by it, in their turn and by the state of that moment (`decide`, `may_read`); everything else asks
`services/access`, which rests on it too. So HTTP, sockets, GraphQL and a command that comes days late from an offline
tablet are all judged by the same relation.
"""

from enum import StrEnum
from typing import Final

from actors.runtime.entity import Actor
from domain.roles import ROLES, SYSTEM, Role


class Party(StrEnum):
    """What an actor is to one thing. One actor can be several at once."""

    OWNER = "owner"
    """The person whose it is: the customer of an order, the person of a session, oneself."""
    LINK = "link"
    """Whoever has its share link."""
    COURIER = "courier"
    """The courier who has the delivery."""
    ANY_COURIER = "any_courier"
    MEMBER = "member"
    """Somebody of the organization that has it, in whichever role; those below are the roles."""
    MERCHANT = "merchant"
    PROVIDER = "provider"
    FRONT_DESK = "front_desk"
    ORGANIZER = "organizer"
    BILLING = "billing"
    ADMIN = "admin"
    PLATFORM = "platform"
    """An admin without an organization, who runs the installation."""
    SYSTEM = "system"


Parties = frozenset[Party]

_SYSTEM: Final = frozenset((Party.SYSTEM,))
_AT_ORGANIZATION: Final = {
    Role.MERCHANT_STAFF.value: Party.MERCHANT,
    Role.PROVIDER.value: Party.PROVIDER,
    Role.FRONT_DESK.value: Party.FRONT_DESK,
    Role.ORGANIZER.value: Party.ORGANIZER,
    Role.BILLING.value: Party.BILLING,
    Role.ADMIN.value: Party.ADMIN,
}
_SHARE: Final = "share:"


def parties(
    actor: Actor, *, organization_id: str = "", person: str = "", courier: str = "", shared: str = ""
) -> Parties:
    """What `actor` is to a thing of this organization and this person, "" for none.

    `courier`: who delivers it; `shared`: the id that its share links name. The runtime itself is nothing else besides.
    """
    roles = actor.roles
    if SYSTEM in roles:
        return _SYSTEM
    found: set[Party] = set()
    if is_oneself(actor, person):
        found.add(Party.OWNER)
    if organization_id and organization_id in actor.organizations:
        found.add(Party.MEMBER)
        found.update(_AT_ORGANIZATION[role] for role in roles if role in _AT_ORGANIZATION)
    if Role.COURIER in roles:
        found.add(Party.ANY_COURIER)
        if is_oneself(actor, courier):
            found.add(Party.COURIER)
    if Role.ADMIN in roles and not actor.organizations:
        found.add(Party.PLATFORM)
    if shared and is_oneself(actor, _SHARE + shared):
        found.add(Party.LINK)
    return frozenset(found)


def is_oneself(actor: Actor, person: str) -> bool:
    """Whether they act in their own name. Of nobody ("") everybody is somebody else."""
    return bool(person) and actor.subject == person


def is_system(actor: Actor) -> bool:
    return SYSTEM in actor.roles


def is_known(actor: Actor) -> bool:
    """Whether they have any role: somebody named in the trail without one acts for themselves."""
    return bool(actor.roles)


def serves(actor: Actor) -> bool:
    """Whether they are anything but a customer."""
    return any(role in ROLES and role != Role.CUSTOMER for role in actor.roles)


def organizations_of(actor: Actor) -> tuple[str, ...]:
    """Where they act; in all of these they have the same roles."""
    return actor.organizations

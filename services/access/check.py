"""Asks the table of `policy.py`: may they, and if not, in which words."""

from actors.parties import organizations_of, parties
from actors.runtime.entity import Actor
from domain.errors import Forbidden, NotFound
from services.access.policy import RULES, Permission


def may(
    actor: Actor, permission: Permission, *, organization_id: str = "", person: str = "", courier: str = ""
) -> bool:
    """Whether `actor` may do this to a thing of this organization, person and courier, "" for none."""
    known = parties(actor, organization_id=organization_id, person=person, courier=courier)
    return not known.isdisjoint(RULES[permission].parties)


def require(
    actor: Actor, permission: Permission, *, organization_id: str = "", person: str = "", courier: str = ""
) -> None:
    """As `may`. Raises `NotFound`, or `Forbidden` where the thing may be known, as the table says."""
    if not may(actor, permission, organization_id=organization_id, person=person, courier=courier):
        raise refusal(permission)


def refusal(permission: Permission) -> NotFound | Forbidden:
    """What somebody hears who may not: the same as of what does not exist."""
    rule = RULES[permission]
    return Forbidden(rule.refusal) if rule.forbidden else NotFound(rule.refusal)


def where(actor: Actor, permission: Permission) -> tuple[str, ...]:
    """The organizations of the actor at which they may do this."""
    return tuple(each for each in organizations_of(actor) if may(actor, permission, organization_id=each))


def require_somewhere(actor: Actor, permission: Permission) -> tuple[str, ...]:
    """As `where`; () is also for who runs the platform, if they may. Raises like `require`."""
    found = where(actor, permission)
    if not found:
        require(actor, permission)
    return found

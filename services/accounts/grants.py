"""What a person's access token says: the roles they have, where they have them, never mixed."""

from collections.abc import Sequence

import msgspec

from domain.errors import Forbidden
from storage.accounts.records import MembershipRecord, UserRecord


class Grant(msgspec.Struct, frozen=True):
    """`organizations` () is the person for themselves."""

    roles: tuple[str, ...]
    organizations: tuple[str, ...] = ()


def grant_for(
    user: UserRecord, memberships: Sequence[MembershipRecord], organization_id: str, organizations_max: int
) -> Grant:
    """For themselves, or for an organization and all others at which they have exactly the same roles.

    Every role in a token holds at each of its organizations, so a token never joins organizations with different
    ones, and none is of an organization that is not active. Raises `Forbidden` (`not_a_member`,
    `organization_inactive`).
    """
    if not organization_id:
        return Grant(user.roles)
    held: dict[str, set[str]] = {}
    for each in memberships:
        if each.active:
            held.setdefault(each.organization_id, set()).add(each.role)
    roles = held.get(organization_id)
    if roles is None and any(each.organization_id == organization_id for each in memberships):
        raise Forbidden("Nobody acts for this organization at the moment.", code="organization_inactive")
    if roles is None:
        raise Forbidden("You have no role at this organization.", code="not_a_member")
    same = [other for other, others in sorted(held.items()) if others == roles and other != organization_id]
    return Grant(tuple(sorted(roles)), (organization_id, *same[: organizations_max - 1]))

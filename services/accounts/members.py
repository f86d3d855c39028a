"""Who has which role at an organization: its own admins say so, and the platform's."""

from collections.abc import Sequence

import msgspec

from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, NotFound, invalid_field
from domain.roles import ORGANIZATION_ROLES, Role
from services.access.check import may, require
from services.access.policy import Permission
from services.accounts.emails import check_email
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from storage.accounts.records import MembershipRecord, UserRecord, UserStatus


class Member(msgspec.Struct, frozen=True):
    user: UserRecord
    roles: tuple[str, ...]


class Members:
    def __init__(self, stores: AccountStores, revocations: Revocations, audit: Audit, clock: Clock) -> None:
        self._stores = stores
        self._revocations = revocations
        self._audit = audit
        self._clock = clock

    async def of_user(self, user_id: str, *, inactive: bool = True) -> dict[str, tuple[str, ...]]:
        """Roles by organization; `inactive`: also by those that nobody acts for."""
        found: dict[str, list[str]] = {}
        for each in await self._stores.members.memberships(user_id):
            if each.active or inactive:
                found.setdefault(each.organization_id, []).append(each.role)
        return {organization_id: tuple(roles) for organization_id, roles in found.items()}

    async def list(self, actor: Actor, organization_id: str, after_user: str, limit: int) -> Sequence[Member]:
        """The next `limit` people, by id. Raises `NotFound` to all but its admins."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        found: dict[str, list[str]] = {}
        for each in await self._stores.members.members(organization_id, after_user, limit):
            found.setdefault(each.user_id, []).append(each.role)
        users = await self._stores.users.users(list(found))
        return [Member(users[user_id], tuple(roles)) for user_id, roles in found.items() if user_id in users]

    async def add(
        self,
        actor: Actor,
        organization_id: str,
        role: str,
        *,
        user_id: str = "",
        email: str = "",
        correlation: str = "",
    ) -> tuple[Member, bool]:
        """Give somebody with an account a role; also whether they had it before.

        Members are shown to admins with their address: an organization's admins take on only whose address they know.
        By an id alone (orders have those of customers) they give roles to who is a member already.

        Raises `NotFound` (to all but admins; `user_unknown`), `Forbidden` (`own_roles`), `Invalid`.
        """
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        if role not in ORGANIZATION_ROLES:
            raise invalid_field("role", "unknown_role", f"One of {', '.join(sorted(ORGANIZATION_ROLES))}.")
        users = self._stores.users
        user = await (users.user(user_id) if user_id else users.user_by_email(check_email(email)))
        anybody = bool(email) or may(actor, Permission.PLATFORM_RUN)
        known = user is not None and (anybody or await self._is_member(user.id, organization_id))
        if user is None or user.status is not UserStatus.ACTIVE or not known:
            raise NotFound("Nobody with this address or id has an account.", code="user_unknown")
        if is_oneself(actor, user.id) and not may(actor, Permission.PLATFORM_RUN):
            raise Forbidden("Another admin has to change your roles.", code="own_roles")
        membership = MembershipRecord(user_id=user.id, organization_id=organization_id, role=role)
        added = await self._stores.members.add_membership(membership, self._clock.now_ms())
        if added is None:
            raise NotFound("There is no such organization.")
        roles = (await self.of_user(user.id)).get(organization_id, ())
        if added:
            before = tuple(each for each in roles if each != role)
            await self._note(actor, f"member_added_{role}", user.id, organization_id, correlation, before, roles)
        return Member(user, roles), not added

    async def _is_member(self, user_id: str, organization_id: str) -> bool:
        return organization_id in await self.of_user(user_id)

    async def remove(
        self, actor: Actor, organization_id: str, user_id: str, role: str = "", *, correlation: str = ""
    ) -> None:
        """Take a role from somebody, or with "" all of them. Raises `NotFound`, `Conflict` (`last_admin`)."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        now = self._clock.now_ms()
        held = (await self.of_user(user_id)).get(organization_id, ())
        removed = await self._stores.members.remove_memberships(organization_id, user_id, role, Role.ADMIN, now)
        if removed is None:
            raise Conflict("Somebody has to be admin here: name another one first.", code="last_admin")
        if not removed:
            raise NotFound("There is no such member.")
        await self._revocations.outdate(user_id)  # again: what was looked up while this was being written
        left = tuple(each for each in held if role and each != role)
        await self._note(actor, "member_removed", user_id, organization_id, correlation, held, left)

    async def _note(
        self,
        actor: Actor,
        action: str,
        user_id: str,
        organization_id: str,
        correlation: str,
        before: Sequence[str],
        after: Sequence[str],
    ) -> None:
        await self._audit.note(
            actor,
            action,
            "user",
            user_id,
            organization_id=organization_id,
            correlation=correlation,
            before={"roles": sorted(before)},
            after={"roles": sorted(after)},
        )

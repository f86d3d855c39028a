"""Invitations: an organization's admins offer roles to whoever reads the mail of an address.

The mailed token proves the address, so who has no account yet registers with it and needs no second mail; who has one
accepts it logged in, with that very address. Nobody who invites hears which of both it is.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import Forbidden, Invalid, NotFound, TooMany, invalid_field
from domain.ids import new_id
from domain.roles import ORGANIZATION_ROLES, Role
from domain.times import HOUR_MS, SECOND_MS
from services.access.check import may, require
from services.access.policy import Permission
from services.accounts.emails import check_email
from services.accounts.limits import AccountLimits
from services.accounts.store import AccountStores
from services.audit import OWN, Audit, masked_email
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.invitations import InvitationRecord, Joined
from storage.accounts.records import UserRecord, UserStatus
from storage.accounts.secret_tokens import new_token, token_hash

_PAGE: Final = "invitation"


class Membership(msgspec.Struct, frozen=True):
    """What somebody is at an organization since they accepted."""

    organization_id: str
    roles: tuple[str, ...]


class Invitations:
    def __init__(self, stores: AccountStores, post: Post, audit: Audit, clock: Clock, limits: AccountLimits) -> None:
        self._stores = stores
        self._post = post
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def invite(
        self,
        actor: Actor,
        organization_id: str,
        email: str,
        roles: Sequence[str],
        locale: str = "",
        correlation: str = "",
    ) -> InvitationRecord:
        """Mail a token to the address, whoever has it; an earlier one to it is void. `locale` "": the inviter's.

        By the organization's admins. Raises `NotFound`, `Invalid`, `Conflict` (`organization_state`), `TooMany`
        (`too_many_invitations`).
        """
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        email, wanted = check_email(email), _checked(roles)
        inviter = await self._stores.users.user(actor.subject)
        token, now = new_token(), self._clock.now_ms()
        invitation = InvitationRecord(
            id=new_id(),
            organization_id=organization_id,
            email=email,
            roles=wanted,
            locale=locale or (inviter.locale if inviter is not None else "en"),
            invited_by=actor.subject,
            created_at_ms=now,
            expires_at_ms=now + self._limits.invitation_ttl_seconds * SECOND_MS,
        )
        if not await self._stores.invitations.add(
            invitation,
            token_hash(token),
            since_ms=now - HOUR_MS,
            count_max=self._limits.invitations_per_hour_max,
            same_max=self._limits.mails_per_hour_max,
        ):
            message = "Too many invitations of this organization, or to this address."
            raise TooMany(message, code="too_many_invitations", retry_after_ms=HOUR_MS)
        self._post.send("invitation", email, invitation.locale, token=token, page=_PAGE)
        await self._note(actor, "member_invited", invitation, correlation, after=_offer(invitation))
        return invitation

    async def list(self, actor: Actor, organization_id: str, after: str, limit: int) -> Sequence[InvitationRecord]:
        """Those that nobody accepted or revoked, by id, for its admins; also what has run out lately."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        return await self._stores.invitations.invitations(organization_id, after, limit)

    async def revoke(self, actor: Actor, organization_id: str, invitation_id: str, correlation: str = "") -> None:
        """Its token is void. By the organization's admins. Raises `NotFound`."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        revoked = await self._stores.invitations.revoke(organization_id, invitation_id, self._clock.now_ms())
        if revoked is None:
            raise NotFound("There is no such invitation.")
        await self._note(actor, "invitation_revoked", revoked, correlation, before=_offer(revoked))

    async def accept(self, actor: Actor, token: str, correlation: str = "") -> Membership:
        """Be a member, as the person whose proved address it was sent to.

        Raises `Invalid` (`token_spent`), `Forbidden` (`account_required`; `invitation_not_yours`: it was sent to
        another address; `own_roles`: they made it themselves, and do not run the platform).
        """
        user = await self._stores.users.user(actor.subject)
        if user is None:
            raise Forbidden("Only people with an account can do this.", code="account_required")
        invitation = await self._offered(token, "token")
        if not user.verified_at_ms or user.email.lower() != invitation.email.lower():
            raise Forbidden("It was sent to another address: log in with that account.", code="invitation_not_yours")
        if is_oneself(actor, invitation.invited_by) and not may(actor, Permission.PLATFORM_RUN):
            raise Forbidden("Another admin has to change your roles.", code="own_roles")
        joined = await self._stores.invitations.accept(token_hash(token), user.id, self._clock.now_ms())
        if joined is None:
            raise _spent("token")
        await self._note_joined(invitation, joined, correlation)
        return Membership(invitation.organization_id, joined.after)

    async def check(self, token: str, email: str) -> None:
        """Whether this token can open an account with this address. Raises `Invalid` (`token_spent`)."""
        invitation = await self._offered(token, "invitation")
        if invitation.email.lower() != email.lower():
            raise _spent("invitation")

    async def register(self, token: str, user: UserRecord) -> bool:
        """Open the account that `user` describes, active and a member, after `check`. False, and nothing changed, when
        the address has one already. Raises `Invalid` (`token_spent`)."""
        now = self._clock.now_ms()
        invitation = await self._offered(token, "invitation")
        proved = msgspec.structs.replace(user, status=UserStatus.ACTIVE, verified_at_ms=now)
        joined = await self._stores.invitations.register(token_hash(token), proved, now)
        if joined is not None:
            await self._note_joined(invitation, joined)
        return joined is not None

    async def _offered(self, token: str, path: str) -> InvitationRecord:
        """Void with the rights of who made it: an admin who was shut out leaves no way in."""
        found = await self._stores.invitations.by_hash(token_hash(token), self._clock.now_ms())
        if found is None or not await self._still_may(found.invited_by, found.organization_id):
            raise _spent(path)
        return found

    async def _still_may(self, inviter_id: str, organization_id: str) -> bool:
        inviter = await self._stores.users.user(inviter_id)
        if inviter is None:
            return True  # by a token of the console, which needs no account
        if inviter.status is not UserStatus.ACTIVE:
            return False
        held = await self._stores.members.memberships(inviter_id)
        its_admin = any(each.organization_id == organization_id and each.role == Role.ADMIN for each in held)
        return its_admin or Role.ADMIN in inviter.roles

    async def _note(
        self,
        actor: Actor,
        action: str,
        invitation: InvitationRecord,
        correlation: str,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        await self._audit.note(
            actor,
            action,
            "invitation",
            invitation.id,
            organization_id=invitation.organization_id,
            correlation=correlation,
            before=before,
            after=after,
        )

    async def _note_joined(self, invitation: InvitationRecord, joined: Joined, correlation: str = "") -> None:
        await self._audit.note(
            Actor(joined.user_id),
            "invitation_accepted",
            "user",
            joined.user_id,
            organization_id=invitation.organization_id,
            correlation=correlation,
            purpose=OWN,
            before={"roles": list(joined.before)},
            after={"roles": list(joined.after), "invitation": invitation.id},
        )


def _checked(roles: Sequence[str]) -> tuple[str, ...]:
    found = tuple(sorted(set(roles)))
    if not found or not ORGANIZATION_ROLES.issuperset(found):
        raise invalid_field("roles", "unknown_role", f"One or more of {', '.join(sorted(ORGANIZATION_ROLES))}.")
    return found


def _offer(invitation: InvitationRecord) -> dict[str, Any]:
    return {"email": masked_email(invitation.email), "roles": list(invitation.roles)}


def _spent(path: str) -> Invalid:
    return invalid_field(path, "token_spent", "This was used already, or has run out: ask to be invited again.")

"""People as others see them: found, looked at, given roles, shut out, deleted. One place says who may."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from actors.parties import is_oneself, organizations_of
from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, NotFound, invalid_field
from domain.roles import ACCOUNT_ROLES, ORGANIZATION_ROLES
from domain.search_words import words_of
from domain.text import check_text
from domain.times import SECOND_MS
from services.access.check import may, require, require_somewhere
from services.access.policy import Permission
from services.accounts.emails import check_email
from services.accounts.limits import AccountLimits
from services.accounts.profiles import stale
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import OPERATIONS, OWN, READ, SEARCH, Audit, Seen
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.records import Changed, MembershipRecord, UserRecord, UserStatus

REASON_CHARACTERS_MAX: Final = 500

_KIND: Final = "user"
_NAMES_PER_TRANSACTION: Final = 100
_log = structlog.get_logger("services.accounts")


class Found(msgspec.Struct, frozen=True):
    """A person, and the roles by organization that the one who asks may know of. `whole`: also how to reach them."""

    user: UserRecord
    roles: dict[str, tuple[str, ...]]
    whole: bool


class People:
    """Oneself and the platform's admins see all of a person; an organization's admins all of its members; colleagues
    each other's names and roles; nobody else that there is such a person."""

    def __init__(
        self,
        stores: AccountStores,
        revocations: Revocations,
        post: Post,
        audit: Audit,
        clock: Clock,
        limits: AccountLimits,
    ) -> None:
        self._stores = stores
        self._post = post
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def get(self, actor: Actor, user_id: str, correlation: str = "") -> Found:
        """Raises `NotFound` for all that the actor may not see. Another one's eyes are in the audit trail."""
        user, held = await self._stores.users.user(user_id), await self._stores.members.memberships(user_id)
        found = self._seen(actor, user, held)
        if found is None:
            raise NotFound("There is no such person.")
        if not is_oneself(actor, user_id):
            await self._note(actor, (found,), READ, correlation)
        return found

    async def search(
        self, actor: Actor, query: str, after_id: str, limit: int, correlation: str = ""
    ) -> tuple[Sequence[Found], str | None]:
        """People of the actor's organizations (the platform's admins: all) by beginnings of the words of their names,
        or by their whole address, by id; and after whom to go on, None at the end.

        Raises `NotFound` for who has no organization, `Invalid`.
        """
        organizations = require_somewhere(actor, Permission.PEOPLE_SEARCH)
        check_text(query, "q", length_max=self._limits.search_characters_max, required=True)
        if "@" in query:
            user = await self._stores.users.user_by_email(check_email(query, "q"))
            users = [] if user is None or user.status is UserStatus.DELETED or user.id <= after_id else [user]
        else:
            words = words_of(query)
            if not 1 <= len(words) <= self._limits.search_words_max:
                raise invalid_field("q", "out_of_range", f"One to {self._limits.search_words_max} words.")
            users = list(await self._stores.people.search(words, organizations or None, after_id, limit + 1))
        page = users[:limit]
        held = await self._held([user.id for user in page])
        seen = [self._seen(actor, user, held.get(user.id, ())) for user in page]
        found = [each for each in seen if each is not None and (each.whole or "@" not in query)]
        await self._note(actor, found, SEARCH, correlation)
        return found, page[-1].id if len(users) > limit else None

    async def set_roles(
        self,
        actor: Actor,
        user_id: str,
        organization_id: str,
        roles: Sequence[str],
        *,
        expected: int = -1,
        correlation: str = "",
    ) -> Found:
        """Exactly these at the organization, by its admins; with "" those of the account, by the platform's.

        Raises `NotFound`, `Forbidden` (`own_roles`), `Invalid`, `Conflict` (`last_admin`), `PreconditionFailed`.
        """
        require(actor, Permission.PERSON_SET_ROLES, organization_id=organization_id)
        found = await self.get(actor, user_id, correlation)
        known = ORGANIZATION_ROLES if organization_id else ACCOUNT_ROLES
        if not roles or not set(roles) <= known:
            raise invalid_field("roles", "unknown_role", f"One or more of {', '.join(sorted(known))}.")
        if organization_id and organization_id not in found.roles:
            raise NotFound("They have no role at this organization.")
        if is_oneself(actor, user_id):
            raise Forbidden("Another admin has to change your roles.", code="own_roles")
        now, wanted = self._clock.now_ms(), sorted(set(roles))
        people = self._stores.people
        if organization_id:
            done = await people.set_member_roles(organization_id, user_id, wanted, expected=expected, now_ms=now)
        else:
            done = await people.set_roles(user_id, wanted, expected=expected, now_ms=now)
        await self._check(done, user_id)
        await self._revocations.outdate(user_id)
        before = found.roles[organization_id] if organization_id else found.user.roles
        await self._audit.note(
            actor,
            "roles_set",
            _KIND,
            user_id,
            organization_id=organization_id,
            correlation=correlation,
            before={"roles": sorted(before)},
            after={"roles": wanted},
        )
        return await self.get(actor, user_id, correlation)

    async def suspend(self, actor: Actor, user_id: str, reason: str, correlation: str = "") -> UserRecord:
        """Shut somebody out at once: their logins and tokens end.

        By the platform's admins, never oneself. Raises `NotFound`, `Forbidden` (`own_account`), `Conflict`, `Invalid`.
        """
        require(actor, Permission.PERSON_MANAGE)
        _check_reason(reason)
        if is_oneself(actor, user_id):
            raise Forbidden("Another admin has to shut you out.", code="own_account")
        allowed = (UserStatus.ACTIVE, UserStatus.PENDING)
        await self._change(actor, user_id, allowed, UserStatus.SUSPENDED, reason, correlation)
        return await self._user(user_id)

    async def reinstate(self, actor: Actor, user_id: str, reason: str, correlation: str = "") -> UserRecord:
        """Let somebody in again who was shut out, or deleted and not yet erased. They log in anew.

        By the platform's admins. Raises `NotFound`, `Conflict`, `Invalid`.
        """
        require(actor, Permission.PERSON_MANAGE)
        _check_reason(reason)
        allowed = (UserStatus.SUSPENDED, UserStatus.DELETED)
        user = await self._user(user_id)
        gone = not user.email or self.erased_after_ms(user) <= self._clock.now_ms()
        if user.status is UserStatus.DELETED and gone:
            raise NotFound("There is no such person.")
        status = UserStatus.ACTIVE if user.verified_at_ms else UserStatus.PENDING
        await self._change(actor, user_id, allowed, status, reason, correlation)
        return await self._user(user_id)

    async def delete(self, actor: Actor, user_id: str, correlation: str = "") -> UserRecord:
        """They are shut out at once, and erased when `erased_after_ms` is over; until then an admin may reinstate them,
        and nobody else gets their address, to which it is told. By oneself, who has just proved it, or the platform's
        admins.

        Raises `NotFound`, `Conflict` (`last_admin`).
        """
        require(actor, Permission.PERSON_DELETE, person=user_id)
        allowed = (UserStatus.ACTIVE, UserStatus.SUSPENDED, UserStatus.PENDING)
        await self._change(actor, user_id, allowed, UserStatus.DELETED, "", correlation)
        user = await self._user(user_id)
        self._post.send("account_deleted", user.email, user.locale)
        return user

    async def shut_out(self, actor: Actor, user_id: str, correlation: str = "") -> None:
        """Before somebody is erased without a grace: nobody logs in with the account from now on, as if it was deleted.

        By the platform's admins. Raises `NotFound`, `Conflict` (`last_admin`).
        """
        require(actor, Permission.PERSON_MANAGE)
        if (await self._user(user_id)).status is UserStatus.DELETED:
            return
        allowed = (UserStatus.ACTIVE, UserStatus.SUSPENDED, UserStatus.PENDING)
        await self._change(actor, user_id, allowed, UserStatus.DELETED, "", correlation)

    def erased_after_ms(self, user: UserRecord) -> int:
        """When the grace of a deleted account is over."""
        return user.deleted_at_ms + self._limits.deletion_grace_seconds * SECOND_MS

    async def seal_names(self) -> None:
        """Seal all names that an older release kept in clear."""
        total = 0
        while count := await self._stores.people.seal_names(_NAMES_PER_TRANSACTION):
            total += count
        if total:
            _log.info("names_sealed", count=total)

    async def _change(
        self,
        actor: Actor,
        user_id: str,
        allowed: Sequence[UserStatus],
        status: UserStatus,
        reason: str,
        correlation: str,
    ) -> None:
        user = await self._user(user_id)
        if user.status not in allowed:
            raise Conflict("Not from this state.", code="account_state", extra={"current": user.status.value})
        now = self._clock.now_ms()
        done = await self._stores.people.set_status(user_id, allowed, status, expected=user.version, now_ms=now)
        await self._check(done, user_id)
        if status is not UserStatus.ACTIVE:
            await self._revocations.revoke_person(user_id, status.value)
        await self._audit.note(
            actor,
            f"account_{status.value}",
            _KIND,
            user_id,
            reason=reason,
            correlation=correlation,
            purpose=OWN if is_oneself(actor, user_id) else OPERATIONS,
            before={"status": user.status.value},
            after={"status": status.value},
        )

    async def _check(self, done: Changed, user_id: str) -> None:
        if done is Changed.LAST_ADMIN:
            raise Conflict("Somebody has to be admin: name another one first.", code="last_admin")
        if done is Changed.MISSING:
            raise NotFound("There is no such person.")
        if done is Changed.STALE:
            raise stale(await self._user(user_id))

    async def _user(self, user_id: str) -> UserRecord:
        user = await self._stores.users.user(user_id)
        if user is None:
            raise NotFound("There is no such person.")
        return user

    async def _held(self, user_ids: Sequence[str]) -> dict[str, list[MembershipRecord]]:
        held: dict[str, list[MembershipRecord]] = {}
        for each in await self._stores.people.memberships(user_ids) if user_ids else ():
            held.setdefault(each.user_id, []).append(each)
        return held

    def _seen(self, actor: Actor, user: UserRecord | None, held: Sequence[MembershipRecord]) -> Found | None:
        """What the actor may see of somebody; None: nothing."""
        if user is None:
            return None
        person = "" if user.status is UserStatus.DELETED else user.id
        everything = may(actor, Permission.PERSON_SEE_WHOLE, person=person)
        roles: dict[str, tuple[str, ...]] = {}
        for each in held:
            if everything or may(actor, Permission.ORGANIZATION_SEE, organization_id=each.organization_id):
                roles[each.organization_id] = (*roles.get(each.organization_id, ()), each.role)
        whole = everything or any(may(actor, Permission.PERSON_SEE_WHOLE, organization_id=each) for each in roles)
        active = user.status is UserStatus.ACTIVE
        colleague = active and any(may(actor, Permission.PERSON_SEE, organization_id=each) for each in roles)
        return Found(user, roles, whole) if whole or colleague else None

    async def _note(self, actor: Actor, found: Sequence[Found], action: str, correlation: str) -> None:
        seen = [Seen(kind=_KIND, id=each.user.id, organization_id=_where(actor, each)) for each in found] or [
            Seen(kind=_KIND, id="", organization_id=next(iter(organizations_of(actor)), ""))
        ]
        await self._audit.note_all(actor, action, seen, correlation=correlation)


def _where(actor: Actor, found: Found) -> str:
    """Whose trail this belongs to: an organization of both."""
    return next((each for each in found.roles if each in organizations_of(actor)), "")


def _check_reason(reason: str) -> None:
    check_text(reason, "reason", length_max=REASON_CHARACTERS_MAX, required=True)

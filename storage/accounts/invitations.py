"""Invitations in Postgres. Every method is one transaction; who takes one up is a member with it."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, NotFound
from storage.accounts.lookup import Vault
from storage.accounts.memberships import add_roles
from storage.accounts.profiles import blind_words, put_words
from storage.accounts.records import UserRecord, UserStatus
from storage.accounts.users import row_of, void_mailed
from storage.db import Database
from storage.models import Invitation, Organization, User
from storage.times import from_ms, to_ms


class InvitationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Neither accepted nor revoked. Times are milliseconds UTC."""

    id: str
    organization_id: str
    email: str
    roles: tuple[str, ...]
    locale: str
    invited_by: str
    created_at_ms: int
    expires_at_ms: int


class Joined(msgspec.Struct, frozen=True):
    """Who is a member now, and which roles they had there and have."""

    user_id: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class InvitationTables:
    """`services.accounts.invitation_store.InvitationStore`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def add(
        self, invitation: InvitationRecord, hashed: bytes, *, since_ms: int, count_max: int, same_max: int
    ) -> bool:
        found, now = await self._vault.hash_email(invitation.email), from_ms(invitation.created_at_ms)
        there = Invitation.organization_id == invitation.organization_id
        lately = select(func.count(), func.count().filter(Invitation.email_hash == found)).where(
            there, Invitation.created_at >= from_ms(since_ms)
        )
        earlier = update(Invitation).where(
            there, Invitation.email_hash == found, Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
        )
        active = select(Organization.active).where(Organization.id == invitation.organization_id)
        async with self._database.session() as session:
            # One after the other for one organization: two at once would both count what is there before them.
            lock = f"invitations/{invitation.organization_id}"
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock, 0))))
            if (is_active := await session.scalar(active)) is None:
                raise NotFound("There is no such organization.")
            if not is_active:
                raise Conflict("It is inactive.", code="organization_state", extra={"current": "inactive"})
            count, same = (await session.execute(lately)).one()
            if count >= count_max or same >= same_max:
                return False
            await session.execute(earlier.values(revoked_at=now).execution_options(synchronize_session=False))
            session.add(
                Invitation(
                    **{name: getattr(invitation, name) for name in ("id", "organization_id", "locale", "invited_by")},
                    email=self._vault.seal(invitation.email.encode(), _place(invitation.id)),
                    email_hash=found,
                    roles=list(invitation.roles),
                    hash=hashed,
                    created_at=now,
                    expires_at=from_ms(invitation.expires_at_ms),
                )
            )
        return True

    async def invitations(self, organization_id: str, after: str, limit: int) -> Sequence[InvitationRecord]:
        query = select(Invitation).where(
            Invitation.organization_id == organization_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.id > after,
        )
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(Invitation.id).limit(limit))).all()
        return [await self._record(row) for row in rows]

    async def revoke(self, organization_id: str, invitation_id: str, now_ms: int) -> InvitationRecord | None:
        one = update(Invitation).where(
            Invitation.id == invitation_id,
            Invitation.organization_id == organization_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        async with self._database.session() as session:
            row = await session.scalar(one.values(revoked_at=from_ms(now_ms)).returning(Invitation))
        return None if row is None else await self._record(row)

    async def by_hash(self, hashed: bytes, now_ms: int) -> InvitationRecord | None:
        async with self._database.session() as session:
            row = await session.scalar(_live(hashed, now_ms))
        return None if row is None else await self._record(row)

    async def accept(self, hashed: bytes, user_id: str, now_ms: int) -> Joined | None:
        async with self._database.session() as session:
            invitation = await session.scalar(_live(hashed, now_ms).with_for_update(of=Invitation))
            person = select(User.email_hash).where(User.id == user_id, User.status == UserStatus.ACTIVE.value)
            found = await session.scalar(person)
            if invitation is None or invitation.email_hash != found:
                return None
            return await _joined(session, invitation, user_id, now_ms)

    async def register(self, hashed: bytes, user: UserRecord, now_ms: int) -> Joined | None:
        found, words = await self._vault.hash_email(user.email), await blind_words(self._vault, user.name)
        async with self._database.session() as session:
            invitation = await session.scalar(_live(hashed, now_ms).with_for_update(of=Invitation))
            if invitation is None or invitation.email_hash != found:
                return None
            user_id = await self._opened(session, user, found, now_ms)
            if not user_id:
                return None
            await put_words(session, user_id, words)
            return await _joined(session, invitation, user_id, now_ms)

    async def _opened(self, session: AsyncSession, user: UserRecord, email_hash: bytes, now_ms: int) -> str:
        """The id of the account that is open now; "" when the address has one that was proved before."""
        kept = await session.scalar(select(User).where(User.email_hash == email_hash).with_for_update())
        if kept is None:
            values = row_of(self._vault, user) | {"email_hash": email_hash}
            statement = insert(User).values(values).on_conflict_do_nothing().returning(User.id)
            return await session.scalar(statement) or ""  # or somebody registers with it at this very moment
        if kept.status != UserStatus.PENDING.value:
            return ""
        # Whoever registered with it, and could not prove it, chose none of this.
        chosen = row_of(self._vault, msgspec.structs.replace(user, id=kept.id))
        for name in ("password_hash", "profile", "locale", "time_zone", "status", "verified_at", "updated_at"):
            setattr(kept, name, chosen[name])
        kept.name, kept.version = "", kept.version + 1
        await void_mailed(session, kept.id, now_ms)
        return kept.id

    async def _record(self, row: Invitation) -> InvitationRecord:
        return InvitationRecord(
            **{name: getattr(row, name) for name in ("id", "organization_id", "locale", "invited_by")},
            email=(await self._vault.open(row.email, _place(row.id))).decode(),
            roles=tuple(row.roles),
            created_at_ms=to_ms(row.created_at),
            expires_at_ms=to_ms(row.expires_at),
        )


async def _joined(session: AsyncSession, invitation: Invitation, user_id: str, now_ms: int) -> Joined:
    """The invitation is used up, and what it offers is theirs, besides what they have."""
    invitation.accepted_at, invitation.accepted_by = from_ms(now_ms), user_id
    await session.flush()
    before, after = await add_roles(session, user_id, invitation.organization_id, invitation.roles, now_ms)
    return Joined(user_id, before, after)


def _live(hashed: bytes, now_ms: int) -> Any:
    """Of an organization that somebody can act for."""
    return (
        select(Invitation)
        .join(Organization, Organization.id == Invitation.organization_id)
        .where(
            Invitation.hash == hashed,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > from_ms(now_ms),
            Organization.active,
        )
    )


def _place(invitation_id: str) -> str:
    return f"invitations/email/{invitation_id}"

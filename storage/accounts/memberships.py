"""Who has which role at which organization, in Postgres. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.roles import Role
from storage.accounts.records import MembershipRecord
from storage.accounts.revocations import Ending, up_to, write_revocations
from storage.db import Database
from storage.models import Invitation, Membership, Organization, User
from storage.times import from_ms

MEMBERSHIPS: Final[Select[*tuple[Any, ...]]] = select(
    Membership.user_id, Membership.organization_id, Membership.role, Organization.active
).join(Organization, Organization.id == Membership.organization_id)


async def read_memberships(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> Sequence[MembershipRecord]:
    """What `MEMBERSHIPS`, narrowed down, finds."""
    return [MembershipRecord(**row._mapping) for row in await session.execute(query)]  # noqa: SLF001


class MembershipTables:
    """`services.accounts.store.MembershipStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def memberships(self, user_id: str) -> Sequence[MembershipRecord]:
        query = MEMBERSHIPS.where(Membership.user_id == user_id)
        async with self._database.session() as session:
            return await read_memberships(session, query.order_by(Membership.organization_id, Membership.role))

    async def members(self, organization_id: str, after_user: str, limit: int) -> Sequence[MembershipRecord]:
        """Of the next `limit` people, all their roles there."""
        people = (
            select(Membership.user_id)
            .where(Membership.organization_id == organization_id, Membership.user_id > after_user)
            .group_by(Membership.user_id)
            .order_by(Membership.user_id)
            .limit(limit)
        )
        query = MEMBERSHIPS.where(
            Membership.organization_id == organization_id, Membership.user_id.in_(people.scalar_subquery())
        )
        async with self._database.session() as session:
            return await read_memberships(session, query.order_by(Membership.user_id, Membership.role))

    async def add_membership(self, membership: MembershipRecord, now_ms: int) -> bool | None:
        """False when it was there before, None when there is no such organization."""
        values = {
            **{name: getattr(membership, name) for name in ("user_id", "organization_id", "role")},
            "created_at": from_ms(now_ms),
        }
        statement = insert(Membership).values(values).on_conflict_do_nothing().returning(Membership.role)
        async with self._database.session() as session:
            if not await session.scalar(select(exists().where(Organization.id == membership.organization_id))):
                return None
            added = (await session.execute(statement)).first() is not None
            if added:
                await _changed(session, membership.user_id)
            return added

    async def remove_memberships(
        self, organization_id: str, user_id: str, role: str, keep_role: str, now_ms: int
    ) -> int | None:
        """How many roles were taken away (`role` "" is all), and with them the access tokens that say them and what
        would give them back; None, and nothing done, when nobody there would be left with `keep_role` who is now."""
        gone = delete(Membership).where(Membership.organization_id == organization_id, Membership.user_id == user_id)
        if role:
            gone = gone.where(Membership.role == role)
        async with self._database.session() as session:
            offered = await open_invitations(session, organization_id, user_id)
            holding = await _holders(session, organization_id, keep_role)
            if role in {"", keep_role} and holding == {user_id}:
                return None
            removed = (await session.execute(gone.returning(Membership.role))).all()
            if removed:
                await void_invitations(session, offered, now_ms)
                await _changed(session, user_id)
                await write_revocations(session, [up_to(user_id, Ending.OUTDATED, now_ms)])
            return len(removed)


async def add_roles(
    session: AsyncSession, user_id: str, organization_id: str, roles: Sequence[str], now_ms: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """In the transaction of `session`: what they had there before, and what they have."""
    await _holders(session, organization_id, Role.ADMIN)  # one after the other with who takes or sets roles there
    held = select(Membership.role).where(Membership.user_id == user_id, Membership.organization_id == organization_id)
    before = set(await session.scalars(held))
    moment = from_ms(now_ms)
    rows = [
        {"user_id": user_id, "organization_id": organization_id, "role": role, "created_at": moment}
        for role in sorted(roles)
    ]
    await session.execute(insert(Membership).values(rows).on_conflict_do_nothing())
    await _changed(session, user_id)
    return tuple(sorted(before)), tuple(sorted(before.union(roles)))


async def open_invitations(session: AsyncSession, organization_id: str, user_id: str) -> Sequence[str]:
    """Those to this person's address there, locked: before any membership is, as whoever accepts one locks them."""
    address = select(User.email_hash).where(User.id == user_id).scalar_subquery()
    query = select(Invitation.id).where(
        Invitation.organization_id == organization_id,
        Invitation.email_hash == address,
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    return (await session.scalars(query.order_by(Invitation.id).with_for_update())).all()


async def void_invitations(session: AsyncSession, ids: Sequence[str], now_ms: int) -> None:
    """Nobody whose roles were taken gives them back to themselves by what was mailed before."""
    if ids:
        await session.execute(update(Invitation).where(Invitation.id.in_(ids)).values(revoked_at=from_ms(now_ms)))


async def _holders(session: AsyncSession, organization_id: str, role: str) -> set[str]:
    """Who has it there, locked: two admins who remove each other at the same time are one after the other."""
    holders = select(Membership.user_id).where(Membership.organization_id == organization_id, Membership.role == role)
    return set(await session.scalars(holders.order_by(Membership.user_id).with_for_update()))


async def _changed(session: AsyncSession, user_id: str) -> None:
    """Their roles are part of what is shown of them."""
    await session.execute(update(User).where(User.id == user_id).values(version=User.version + 1))

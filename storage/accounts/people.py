"""Preferences, positions, states, roles and the search of people in Postgres. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Text, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, TSQUERY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.accounts.lookup import Vault
from storage.accounts.memberships import MEMBERSHIPS, open_invitations, read_memberships, void_invitations
from storage.accounts.profiles import Profile, blind_words, put_words, seal_profile
from storage.accounts.records import Changed, MembershipRecord, PositionRecord, UserRecord, UserStatus
from storage.accounts.revocations import Ending, end_logins, up_to, write_revocations
from storage.accounts.users import user_record, void_mailed
from storage.db import Database
from storage.models import Membership, User, UserPosition, UserSearch
from storage.times import from_ms, to_ms

_FOUND: Final = (UserStatus.ACTIVE.value, UserStatus.SUSPENDED.value)
_ADMIN: Final = "admin"
_pack = msgspec.msgpack.Encoder().encode
_position = msgspec.msgpack.Decoder(tuple[int, int]).decode


class PeopleTables:
    """`services.accounts.people_store.PeopleStore`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def preferences(self, user_id: str) -> dict[str, Any]:
        async with self._database.session() as session:
            return await session.scalar(select(User.preferences).where(User.id == user_id)) or {}

    async def put_preferences(self, user_id: str, preferences: dict[str, Any], now_ms: int) -> None:
        statement = update(User).where(User.id == user_id)
        async with self._database.session() as session:
            await session.execute(statement.values(preferences=preferences, updated_at=from_ms(now_ms)))

    async def position(self, user_id: str, now_ms: int) -> PositionRecord | None:
        query = select(UserPosition).where(UserPosition.user_id == user_id, UserPosition.expires_at > from_ms(now_ms))
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        if row is None:
            return None
        lat, lon = _position(await self._vault.open(row.position, _place(user_id)))
        consented, expires = to_ms(row.consented_at), to_ms(row.expires_at)
        return PositionRecord(lat_hundredths=lat, lon_hundredths=lon, consented_at_ms=consented, expires_at_ms=expires)

    async def put_position(self, user_id: str, position: PositionRecord) -> None:
        """In the place of the one before. All that have run out, anybody's, are deleted with it."""
        values = {
            "position": self._vault.seal(_pack((position.lat_hundredths, position.lon_hundredths)), _place(user_id)),
            "consented_at": from_ms(position.consented_at_ms),
            "expires_at": from_ms(position.expires_at_ms),
        }
        statement = insert(UserPosition).values(user_id=user_id, **values)
        async with self._database.session() as session:
            past = select(UserPosition.user_id).where(
                UserPosition.expires_at <= values["consented_at"], UserPosition.user_id != user_id
            )
            # One's own first, then what nobody holds: others put theirs at the same time, and would delete this one.
            gone = UserPosition.user_id.in_(past.with_for_update(skip_locked=True).scalar_subquery())
            await session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))
            await session.execute(delete(UserPosition).where(gone))

    async def forget_position(self, user_id: str) -> None:
        async with self._database.session() as session:
            await session.execute(delete(UserPosition).where(UserPosition.user_id == user_id))

    async def search(
        self, words: Sequence[str], organization_ids: Sequence[str] | None, after_id: str, limit: int
    ) -> Sequence[UserRecord]:
        blind = await self._vault.blind(words)
        wanted = cast(cast(" & ".join(f"'{each}'" for each in blind), Text), TSQUERY)
        query = (
            select(User)
            .join(UserSearch, UserSearch.user_id == User.id)
            .where(UserSearch.words.op("@@")(wanted), User.status.in_(_FOUND), User.id > after_id)
        )
        if organization_ids is not None:
            there = select(Membership.user_id).where(Membership.organization_id.in_(organization_ids))
            query = query.where(User.id.in_(there.scalar_subquery()))
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(User.id).limit(limit))).all()
        return [await user_record(self._vault, row) for row in rows]

    async def memberships(self, user_ids: Sequence[str]) -> Sequence[MembershipRecord]:
        query = MEMBERSHIPS.where(Membership.user_id.in_(user_ids))
        order = (Membership.user_id, Membership.organization_id, Membership.role)
        async with self._database.session() as session:
            return await read_memberships(session, query.order_by(*order))

    async def set_status(
        self, user_id: str, allowed: Sequence[UserStatus], status: UserStatus, *, expected: int, now_ms: int
    ) -> Changed:
        moment = from_ms(now_ms)
        deleted_at = moment if status is UserStatus.DELETED else None
        changes = {"status": status.value, "deleted_at": deleted_at, "updated_at": moment}
        async with self._database.session() as session:
            admins = await _admins(session)
            user = await session.get(User, user_id, with_for_update=True)
            refused = _refused(user, allowed, expected)
            if refused is not None:
                return refused
            if status is not UserStatus.ACTIVE and admins == {user_id}:
                return Changed.LAST_ADMIN
            if status is UserStatus.DELETED and await _only_admin_somewhere(session, user_id):
                return Changed.LAST_ADMIN
            change = update(User).where(User.id == user_id)
            await session.execute(change.values(version=User.version + 1, **changes))
            if status is not UserStatus.ACTIVE:
                await end_logins(session, user_id, "", status.value, now_ms)
                await void_mailed(session, user_id, now_ms)
                await write_revocations(session, [up_to(user_id, Ending.ENDED, now_ms)])
            if status is UserStatus.DELETED:
                await session.execute(delete(UserPosition).where(UserPosition.user_id == user_id))
        return Changed.DONE

    async def set_roles(self, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int) -> Changed:
        async with self._database.session() as session:
            admins = await _admins(session)
            user = await session.get(User, user_id, with_for_update=True)
            refused = _refused(user, (UserStatus.ACTIVE,), expected)
            if refused is not None:
                return refused
            if _ADMIN not in roles and admins == {user_id}:
                return Changed.LAST_ADMIN
            change = update(User).where(User.id == user_id)
            values = {"roles": list(roles), "updated_at": from_ms(now_ms)}
            await session.execute(change.values(version=User.version + 1, **values))
            await write_revocations(session, [up_to(user_id, Ending.OUTDATED, now_ms)])
        return Changed.DONE

    async def set_member_roles(
        self, organization_id: str, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int
    ) -> Changed:
        moment = from_ms(now_ms)
        held = select(Membership.user_id, Membership.role).where(Membership.organization_id == organization_id)
        theirs = delete(Membership).where(Membership.organization_id == organization_id, Membership.user_id == user_id)
        async with self._database.session() as session:
            # In the order of the locks of `MembershipTables.remove_memberships`: invitations, admins.
            offered = await open_invitations(session, organization_id, user_id)
            admins = held.where(Membership.role == _ADMIN).order_by(Membership.user_id)
            holding = {row.user_id for row in await session.execute(admins.with_for_update())}
            user = await session.get(User, user_id, with_for_update=True)
            refused = _refused(user, (UserStatus.ACTIVE, UserStatus.SUSPENDED), expected)
            if refused is not None:
                return refused
            if (await session.execute(held.where(Membership.user_id == user_id).limit(1))).first() is None:
                return Changed.MISSING
            if _ADMIN not in roles and holding == {user_id}:
                return Changed.LAST_ADMIN
            await void_invitations(session, offered, now_ms)
            await session.execute(theirs.where(Membership.role.not_in(roles)))
            rows = [
                {"user_id": user_id, "organization_id": organization_id, "role": role, "created_at": moment}
                for role in roles
            ]
            await session.execute(insert(Membership).values(rows).on_conflict_do_nothing())
            await session.execute(update(User).where(User.id == user_id).values(version=User.version + 1))
            await write_revocations(session, [up_to(user_id, Ending.OUTDATED, now_ms)])
        return Changed.DONE

    async def seal_names(self, limit: int) -> int:
        left = select(User).where(User.profile.is_(None), User.name != "")
        query = left.limit(limit).with_for_update(skip_locked=True)
        await self._vault.blind(())  # reads the key, in a transaction of its own
        async with self._database.session() as session:
            rows = (await session.scalars(query)).all()
            for row in rows:
                await put_words(session, row.id, await blind_words(self._vault, row.name))
                row.profile, row.name = seal_profile(self._vault, row.id, Profile(row.name)), ""
        return len(rows)


async def _admins(session: AsyncSession) -> set[str]:
    """Who runs the platform, locked: two who take it from each other are one after the other."""
    query = select(User.id).where(
        User.status == UserStatus.ACTIVE.value, User.roles.contains(func.to_jsonb(cast(_ADMIN, Text)).cast(JSONB))
    )
    return set(await session.scalars(query.order_by(User.id).with_for_update()))


async def _only_admin_somewhere(session: AsyncSession, user_id: str) -> bool:
    own = select(Membership.organization_id).where(Membership.user_id == user_id, Membership.role == _ADMIN)
    query = select(Membership.organization_id, Membership.user_id).where(
        Membership.role == _ADMIN, Membership.organization_id.in_(own.scalar_subquery())
    )
    holders: dict[str, set[str]] = {}
    for row in await session.execute(query.order_by(Membership.organization_id, Membership.user_id).with_for_update()):
        holders.setdefault(row.organization_id, set()).add(row.user_id)
    return {user_id} in holders.values()


def _refused(user: User | None, allowed: Sequence[UserStatus], expected: int) -> Changed | None:
    if user is None or UserStatus(user.status) not in allowed:
        return Changed.MISSING
    return Changed.STALE if expected >= 0 and user.version != expected else None


def _place(user_id: str) -> str:
    return f"user_positions/position/{user_id}"

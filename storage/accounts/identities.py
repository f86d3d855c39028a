"""Identities at login providers in Postgres. Every method is one transaction."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.accounts.records import UserStatus
from storage.db import Database
from storage.models import Identity, OidcSpent, User
from storage.times import from_ms, to_ms


class IdentityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person as a provider knows them. `last_used_at_ms` 0: never since it was linked."""

    id: str
    user_id: str
    provider: str
    issuer: str
    subject: str
    linked_at_ms: int
    last_used_at_ms: int = 0


class Linked(StrEnum):
    """What became of linking or unlinking."""

    DONE = "done"
    TAKEN = "taken"
    """The identity is somebody's."""
    FULL = "full"
    """This person has as many as anybody may."""
    MISSING = "missing"
    LAST = "last"
    """Without it they could not log in any more."""


class IdentityTables:
    """`services.oidc.store.IdentityStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identity(self, issuer: str, subject: str) -> IdentityRecord | None:
        query = select(Identity).where(Identity.issuer == issuer, Identity.subject == subject)
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else _record(row)

    async def identities(self, user_id: str) -> Sequence[IdentityRecord]:
        query = select(Identity).where(Identity.user_id == user_id).order_by(Identity.linked_at, Identity.id)
        async with self._database.session() as session:
            rows = (await session.scalars(query)).all()
        return [_record(row) for row in rows]

    async def add(self, identity: IdentityRecord, count_max: int) -> Linked:
        values = {
            **{name: getattr(identity, name) for name in ("id", "user_id", "provider", "issuer", "subject")},
            "linked_at": from_ms(identity.linked_at_ms),
        }
        statement = insert(Identity).values(values).on_conflict_do_nothing().returning(Identity.id)
        count = select(func.count()).select_from(Identity).where(Identity.user_id == identity.user_id)
        async with self._database.session() as session:
            # One after the other for one person: two at once would both count what is there before them.
            person = select(User.id).where(User.id == identity.user_id, User.status == UserStatus.ACTIVE.value)
            if await session.scalar(person.with_for_update()) is None:
                return Linked.MISSING
            if (await session.scalar(count) or 0) >= count_max:
                return Linked.FULL
            return Linked.DONE if (await session.execute(statement)).first() is not None else Linked.TAKEN

    async def remove(self, user_id: str, identity_id: str, *, other_way: bool) -> Linked:
        """`other_way`: they can log in by something that is kept elsewhere (a passkey)."""
        held = select(Identity.id).where(Identity.user_id == user_id)
        async with self._database.session() as session:
            person = select(User.password_hash).where(User.id == user_id).with_for_update()
            password = await session.scalar(person)
            ids = set(await session.scalars(held))
            if identity_id not in ids:
                return Linked.MISSING
            if len(ids) == 1 and not password and not other_way:
                return Linked.LAST
            await session.execute(delete(Identity).where(Identity.id == identity_id))
        return Linked.DONE

    async def used(self, identity_id: str, now_ms: int) -> None:
        statement = update(Identity).where(Identity.id == identity_id).values(last_used_at=from_ms(now_ms))
        async with self._database.session() as session:
            await session.execute(statement)

    async def claim(self, user_id: str, now_ms: int) -> bool:
        """Make a pending person active whose address a provider has proved. Their password goes: whoever
        registered may have been somebody else."""
        moment = from_ms(now_ms)
        pending = update(User).where(User.id == user_id, User.status == UserStatus.PENDING.value)
        values = {"status": UserStatus.ACTIVE.value, "password_hash": "", "verified_at": moment, "updated_at": moment}
        pending = pending.values(values | {"version": User.version + 1})
        async with self._database.session() as session:
            return (await session.execute(pending.returning(User.id))).first() is not None

    async def spend(self, hashed: bytes, expires_at_ms: int, now_ms: int) -> bool:
        """False when it was used before."""
        statement = insert(OidcSpent).values(hash=hashed, expires_at=from_ms(expires_at_ms)).on_conflict_do_nothing()
        async with self._database.session() as session:
            await session.execute(delete(OidcSpent).where(OidcSpent.expires_at < from_ms(now_ms)))
            return (await session.execute(statement.returning(OidcSpent.hash))).first() is not None


def _record(row: Identity) -> IdentityRecord:
    return IdentityRecord(
        id=row.id,
        user_id=row.user_id,
        provider=row.provider,
        issuer=row.issuer,
        subject=row.subject,
        linked_at_ms=to_ms(row.linked_at),
        last_used_at_ms=0 if row.last_used_at is None else to_ms(row.last_used_at),
    )

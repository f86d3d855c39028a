"""People in Postgres. Every method is one transaction; what a mailed token does happens in the one that spends it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.accounts.lookup import Vault
from storage.accounts.profiles import Profile, blind_words, profile_of, put_words, seal_profile
from storage.accounts.records import TokenRecord, UserRecord, UserStatus
from storage.accounts.revocations import end_logins
from storage.db import Database
from storage.models import FactorChallenge, OneTimeToken, User
from storage.times import from_ms, to_ms


class UserTables:
    """`services.accounts.store.UserStore`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def user(self, user_id: str) -> UserRecord | None:
        async with self._database.session() as session:
            row = await session.get(User, user_id)
        return None if row is None else await self._record(row)

    async def users(self, ids: Sequence[str]) -> dict[str, UserRecord]:
        async with self._database.session() as session:
            rows = (await session.scalars(select(User).where(User.id.in_(ids)))).all()
        return {row.id: await self._record(row) for row in rows}

    async def user_by_email(self, email: str) -> UserRecord | None:
        query = select(User).where(User.email_hash == await self._vault.hash_email(email))
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else await self._record(row)

    async def add_user(self, user: UserRecord) -> bool:
        values = row_of(self._vault, user) | {"email_hash": await self._vault.hash_email(user.email)}
        statement = insert(User).values(values).on_conflict_do_nothing().returning(User.id)
        words = await blind_words(self._vault, user.name)
        async with self._database.session() as session:
            added = (await session.execute(statement)).first() is not None
            if added:
                await put_words(session, user.id, words)
        return added

    async def put_profile(
        self, user_id: str, *, name: str, phone: str, locale: str, time_zone: str, expected: int, now_ms: int
    ) -> bool:
        statement = update(User).where(User.id == user_id)
        if expected >= 0:
            statement = statement.where(User.version == expected)
        sealed = seal_profile(self._vault, user_id, Profile(name, phone))
        changes = {"locale": locale, "time_zone": time_zone, "updated_at": from_ms(now_ms)}
        statement = statement.values(profile=sealed, name="", version=User.version + 1, **changes)
        words = await blind_words(self._vault, name)
        async with self._database.session() as session:
            changed = (await session.execute(statement.returning(User.id))).first() is not None
            if changed:
                await put_words(session, user_id, words)
        return changed

    async def upgrade_password(self, user_id: str, old_hash: str, new_hash: str) -> None:
        statement = update(User).where(User.id == user_id, User.password_hash == old_hash)
        async with self._database.session() as session:
            await session.execute(statement.values(password_hash=new_hash))

    async def change_password(self, user_id: str, new_hash: str, now_ms: int) -> None:
        async with self._database.session() as session:
            await _put_password(session, user_id, new_hash, now_ms)
            await void_mailed(session, user_id, now_ms)
            await end_logins(session, user_id, "", "password_changed", now_ms)

    async def add_token(self, token: TokenRecord, *, since_ms: int, count_max: int) -> bool:
        """False, and nothing written, when this person was given `count_max` since `since_ms`."""
        recent = (
            select(func.count())
            .select_from(OneTimeToken)
            .where(OneTimeToken.user_id == token.user_id, OneTimeToken.issued_at >= from_ms(since_ms))
        )
        async with self._database.session() as session:
            # One after the other for one person: two at once would both count what is there before them.
            await session.execute(select(User.id).where(User.id == token.user_id).with_for_update())
            if (await session.scalar(recent) or 0) >= count_max:
                return False
            session.add(
                OneTimeToken(
                    hash=token.hash,
                    purpose=token.purpose,
                    user_id=token.user_id,
                    payload=self._vault.seal(token.payload, _token_place(token.hash)),
                    issued_at=from_ms(token.issued_at_ms),
                    expires_at=from_ms(token.expires_at_ms),
                )
            )
            await session.execute(
                delete(OneTimeToken).where(
                    OneTimeToken.user_id == token.user_id,
                    OneTimeToken.issued_at < from_ms(since_ms),
                    OneTimeToken.expires_at < from_ms(token.issued_at_ms),
                )
            )
        return True

    async def token(self, token_hash: bytes, purposes: Sequence[str], now_ms: int) -> TokenRecord | None:
        query = select(OneTimeToken).where(_live(token_hash, purposes, now_ms))
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        if row is None:
            return None
        return TokenRecord(
            hash=row.hash,
            purpose=row.purpose,
            user_id=row.user_id,
            payload=await self._vault.open(row.payload, _token_place(row.hash)),
            issued_at_ms=to_ms(row.issued_at),
            expires_at_ms=to_ms(row.expires_at),
        )

    async def activate(
        self, token: TokenRecord, *, password_hash: str, name: str, locale: str, time_zone: str, now_ms: int
    ) -> bool:
        words = await blind_words(self._vault, name)
        async with self._database.session() as session:
            if not await _spend(session, token, now_ms):
                return False
            values: dict[str, Any] = {
                "password_hash": password_hash,
                "profile": seal_profile(self._vault, token.user_id, Profile(name)),
                "name": "",
                "locale": locale,
                "time_zone": time_zone,
            }
            pending = update(User).where(User.id == token.user_id, User.status == UserStatus.PENDING.value)
            moment = from_ms(now_ms)
            proved = {"status": UserStatus.ACTIVE.value, "verified_at": moment, "updated_at": moment}
            values |= proved | {"version": User.version + 1}
            changed = (await session.execute(pending.values(values).returning(User.id))).first() is not None
            if changed:
                await put_words(session, token.user_id, words)
            return changed

    async def reset_password(self, token: TokenRecord, new_hash: str, now_ms: int) -> bool:
        async with self._database.session() as session:
            if not await _spend(session, token, now_ms):
                return False
            moment = from_ms(now_ms)
            proved = update(User).where(User.id == token.user_id, User.status == UserStatus.PENDING.value)
            await session.execute(proved.values(status=UserStatus.ACTIVE.value, verified_at=moment))
            await _put_password(session, token.user_id, new_hash, now_ms)
            await end_logins(session, token.user_id, "", "password_reset", now_ms)
        return True

    async def change_email(self, token: TokenRecord, email: str, now_ms: int) -> bool:
        """False also when the address has become somebody else's meanwhile."""
        values = {
            "email": self._vault.seal(email.encode(), _email_place(token.user_id)),
            "email_hash": await self._vault.hash_email(email),
            "verified_at": from_ms(now_ms),
            "updated_at": from_ms(now_ms),
        }
        async with self._database.session() as session:
            if not await _spend(session, token, now_ms):
                return False
            taken = await session.scalar(select(User.id).where(User.email_hash == values["email_hash"]))
            if taken is not None and taken != token.user_id:
                return False
            changed = update(User).where(User.id == token.user_id)
            await session.execute(changed.values(version=User.version + 1, **values))
        return True

    async def _record(self, row: User) -> UserRecord:
        return await user_record(self._vault, row)


def row_of(vault: Vault, user: UserRecord) -> dict[str, Any]:
    """A person as their row is written, but for the hash of the address."""
    return {
        **{name: getattr(user, name) for name in ("id", "password_hash", "locale", "time_zone")},
        "status": user.status.value,
        "roles": list(user.roles),
        "email": vault.seal(user.email.encode(), _email_place(user.id)),
        "profile": seal_profile(vault, user.id, Profile(user.name, user.phone)),
        "verified_at": from_ms(user.verified_at_ms) if user.verified_at_ms else None,
        "created_at": from_ms(user.created_at_ms),
        "updated_at": from_ms(user.updated_at_ms),
    }


async def user_record(vault: Vault, row: User) -> UserRecord:
    """The person of a row, opened."""
    email = await vault.open(row.email, _email_place(row.id))
    profile = await profile_of(vault, row)
    return UserRecord(
        id=row.id,
        email=email.decode(),
        name=profile.name,
        status=UserStatus(row.status),
        created_at_ms=to_ms(row.created_at),
        updated_at_ms=to_ms(row.updated_at),
        password_hash=row.password_hash,
        roles=tuple(row.roles),
        locale=row.locale,
        time_zone=row.time_zone,
        verified_at_ms=0 if row.verified_at is None else to_ms(row.verified_at),
        phone=profile.phone,
        version=row.version,
        deleted_at_ms=0 if row.deleted_at is None else to_ms(row.deleted_at),
    )


def _email_place(user_id: str) -> str:
    return f"users/email/{user_id}"


def _token_place(token_hash: bytes) -> str:
    return f"one_time_tokens/payload/{token_hash.hex()}"


def _live(token_hash: bytes, purposes: Sequence[str], now_ms: int) -> Any:
    return (
        (OneTimeToken.hash == token_hash)
        & OneTimeToken.purpose.in_(purposes)
        & OneTimeToken.used_at.is_(None)
        & (OneTimeToken.expires_at > from_ms(now_ms))
    )


async def _spend(session: AsyncSession, token: TokenRecord, now_ms: int) -> bool:
    """Use it, once, and with it all others that this person was sent: they were for the address or the password of
    before, and may have been asked for by somebody else."""
    statement = update(OneTimeToken).where(_live(token.hash, (token.purpose,), now_ms))
    spent = await session.execute(statement.values(used_at=from_ms(now_ms)).returning(OneTimeToken.hash))
    if spent.first() is None:
        return False
    await void_mailed(session, token.user_id, now_ms)
    return True


async def void_mailed(session: AsyncSession, user_id: str, now_ms: int) -> None:
    """Whatever this person was sent and has not used."""
    left = update(OneTimeToken).where(OneTimeToken.user_id == user_id, OneTimeToken.used_at.is_(None))
    await session.execute(left.values(used_at=from_ms(now_ms)))


async def _put_password(session: AsyncSession, user_id: str, new_hash: str, now_ms: int) -> None:
    """What whoever had the old one was asked for after it (a second factor, a new one's first code) is void."""
    statement = update(User).where(User.id == user_id)
    await session.execute(statement.values(password_hash=new_hash, updated_at=from_ms(now_ms)))
    await session.execute(delete(FactorChallenge).where(FactorChallenge.user_id == user_id))

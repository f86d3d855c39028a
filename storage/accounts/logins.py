"""Logins, their refresh tokens and failed attempts in Postgres. Every method is one transaction."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.accounts.lookup import Vault
from storage.accounts.records import LoginRecord, Rotated, UserStatus
from storage.accounts.revocations import end_logins, for_ever, write_revocations
from storage.accounts.secret_tokens import token_hash
from storage.db import Database
from storage.models import Login, LoginFailure, RefreshToken, User
from storage.times import from_ms, to_ms

REUSED: Final = "refresh_token_reused"


class LoginTables:
    """`services.accounts.store.LoginStore`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def open_login(self, login: LoginRecord, token: str, expires_at_ms: int, *, password_hash: str) -> bool:
        async with self._database.session() as session:
            # Whoever shuts them out or changes the password waits for this, and ends it; or this waits, and sees it.
            person = select(User.status, User.password_hash).where(User.id == login.user_id)
            found = (await session.execute(person.with_for_update(read=True))).first()
            if found is None or tuple(found) != (UserStatus.ACTIVE.value, password_hash):
                return False
            session.add(
                Login(
                    id=login.id,
                    user_id=login.user_id,
                    organization_id=login.organization_id or None,
                    device=login.device,
                    amr=list(login.amr),
                    auth_time=from_ms(login.auth_time_ms),
                    created_at=from_ms(login.created_at_ms),
                    last_used_at=from_ms(login.last_used_at_ms),
                    expires_at=from_ms(login.expires_at_ms),
                )
            )
            await session.flush()
            session.add(_token_row(login.id, token, login.created_at_ms, expires_at_ms))
        return True

    async def login_of(self, token: str) -> LoginRecord | None:
        """Whose token this is, whatever became of it."""
        query = select(Login).join(RefreshToken).where(RefreshToken.hash == token_hash(token))
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else _record(row)

    async def rotate(
        self, token: str, successor: str, *, organization_id: str, now_ms: int, expires_at_ms: int, reuse_ms: int
    ) -> Rotated:
        """Use `token` up and make `successor`, or give the successor that it got less than `reuse_ms` ago.

        The row locks make two refreshes at once one after the other: the second gets the successor of the first.
        """
        query = (
            select(RefreshToken, Login)
            .join(Login, Login.id == RefreshToken.login_id)
            .where(RefreshToken.hash == token_hash(token))
            .with_for_update()
        )
        async with self._database.session() as session:
            found = (await session.execute(query)).first()
            if found is None:
                return Rotated(refused="unknown")
            kept, login = found
            if login.revoked_at is not None:
                return Rotated(refused="revoked")
            if to_ms(login.expires_at) <= now_ms or to_ms(kept.expires_at) <= now_ms:
                return Rotated(refused="expired")
            if kept.used_at is not None and to_ms(kept.used_at) + reuse_ms > now_ms and kept.successor is not None:
                again = await self._vault.open(kept.successor, _place(kept.hash))
                return Rotated(login=_record(login), token=again.decode())
            if kept.used_at is not None:
                login.revoked_at, login.revoked_for = from_ms(now_ms), REUSED
                await write_revocations(session, [for_ever(login.id, now_ms)])
                return Rotated(login=_record(login), refused="reused")
            kept.used_at = from_ms(now_ms)
            kept.successor = self._vault.seal(successor.encode(), _place(kept.hash))
            login.last_used_at = from_ms(now_ms)
            login.organization_id = organization_id or None
            # What was used up long ago is only needed to tell reuse; its successor never again.
            old = update(RefreshToken).where(
                RefreshToken.login_id == login.id, RefreshToken.used_at < from_ms(now_ms - reuse_ms)
            )
            await session.execute(old.values(successor=None).execution_options(synchronize_session=False))
            ends = min(expires_at_ms, to_ms(login.expires_at))
            session.add(_token_row(login.id, successor, now_ms, ends))
            return Rotated(login=_record(login), token=successor)

    async def live_logins(self, user_id: str, now_ms: int) -> Sequence[LoginRecord]:
        query = select(Login).where(
            Login.user_id == user_id, Login.revoked_at.is_(None), Login.expires_at > from_ms(now_ms)
        )
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(Login.last_used_at.desc(), Login.id))).all()
        return [_record(row) for row in rows]

    async def revoke(self, user_id: str, login_id: str, reason: str, now_ms: int) -> int:
        """One login, or with "" all of this person's; returns how many were still live."""
        async with self._database.session() as session:
            return await end_logins(session, user_id, login_id, reason, now_ms)

    async def attempt(self, email: str, *, now_ms: int, window_ms: int, lock_ms: Callable[[int], int]) -> int:
        """Count an attempt to log in by this address; 0 if it may be made, else until when it is locked.

        `lock_ms` says for how long the n-th in a row locks. Counted before the password is looked at, so that
        many at once are counted like many after each other.
        """
        key, now = await self._vault.hash_email(email), from_ms(now_ms)
        fresh = case((LoginFailure.last_at < from_ms(now_ms - window_ms), 1), else_=LoginFailure.count + 1)
        statement = (
            insert(LoginFailure)
            .values(email_hash=key, count=1, last_at=now)
            .on_conflict_do_update(
                index_elements=["email_hash"],
                set_={"count": fresh, "last_at": now},
                where=or_(LoginFailure.locked_until.is_(None), LoginFailure.locked_until <= now),
            )
            .returning(LoginFailure.count)
        )
        async with self._database.session() as session:
            count = await session.scalar(statement)
            if count is None:
                return await _locked_until(session, key)
            lock = lock_ms(count)
            if lock:
                until = from_ms(now_ms + lock)
                await session.execute(
                    update(LoginFailure).where(LoginFailure.email_hash == key).values(locked_until=until)
                )
            old = select(LoginFailure.email_hash).where(
                LoginFailure.last_at < from_ms(now_ms - window_ms), LoginFailure.email_hash != key
            )
            # Those that nobody holds: another attempt may be at its own, and want to forget this one.
            gone = LoginFailure.email_hash.in_(old.with_for_update(skip_locked=True).scalar_subquery())
            await session.execute(delete(LoginFailure).where(gone))
        return 0

    async def forget_attempts(self, email: str) -> None:
        key = await self._vault.hash_email(email)
        async with self._database.session() as session:
            await session.execute(delete(LoginFailure).where(LoginFailure.email_hash == key))


async def _locked_until(session: AsyncSession, key: bytes) -> int:
    until = await session.scalar(select(LoginFailure.locked_until).where(LoginFailure.email_hash == key))
    return 0 if until is None else to_ms(until)


def _place(hashed: bytes) -> str:
    return f"refresh_tokens/successor/{hashed.hex()}"


def _token_row(login_id: str, token: str, now_ms: int, expires_at_ms: int) -> RefreshToken:
    return RefreshToken(
        hash=token_hash(token), login_id=login_id, issued_at=from_ms(now_ms), expires_at=from_ms(expires_at_ms)
    )


def _record(row: Login) -> LoginRecord:
    return LoginRecord(
        id=row.id,
        user_id=row.user_id,
        organization_id=row.organization_id or "",
        device=row.device,
        amr=tuple(row.amr),
        auth_time_ms=to_ms(row.auth_time),
        created_at_ms=to_ms(row.created_at),
        last_used_at_ms=to_ms(row.last_used_at),
        expires_at_ms=to_ms(row.expires_at),
        revoked_at_ms=0 if row.revoked_at is None else to_ms(row.revoked_at),
        revoked_for=row.revoked_for,
    )

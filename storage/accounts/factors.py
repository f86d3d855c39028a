"""Second factors, recovery codes and challenges in Postgres. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.accounts.factor_records import PASSKEY, TOTP, Added, ChallengeRecord, PasskeyRecord, Purpose, TotpRecord
from storage.accounts.lookup import Vault
from storage.db import Database
from storage.models import FactorChallenge, Passkey, RecoveryCode, TotpFactor, User
from storage.sealed_columns import column_place
from storage.times import from_ms, to_ms

_UNKNOWN: Final = "unknown"


class FactorTables:
    """`services.accounts.factor_store.FactorStore`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def kinds(self, user_id: str) -> frozenset[str]:
        query = select(exists().where(_confirmed(user_id)), exists().where(Passkey.user_id == user_id))
        async with self._database.session() as session:
            has = (await session.execute(query)).one()
        return frozenset(kind for kind, there in zip((TOTP, PASSKEY), has, strict=True) if there)

    async def totp(self, user_id: str) -> TotpRecord | None:
        async with self._database.session() as session:
            row = (await session.scalars(select(TotpFactor).where(TotpFactor.user_id == user_id))).first()
        if row is None:
            return None
        return TotpRecord(
            id=row.id,
            user_id=row.user_id,
            name=row.name,
            secret=(await self._vault.open(row.secret, _place(row.id))).decode(),
            created_at_ms=to_ms(row.created_at),
            last_step=row.last_step,
            confirmed_at_ms=0 if row.confirmed_at is None else to_ms(row.confirmed_at),
            last_used_at_ms=0 if row.last_used_at is None else to_ms(row.last_used_at),
        )

    async def put_totp(self, factor: TotpRecord) -> bool:
        pending = delete(TotpFactor).where(TotpFactor.user_id == factor.user_id, TotpFactor.confirmed_at.is_(None))
        values = {
            "id": factor.id,
            "user_id": factor.user_id,
            "name": factor.name,
            "secret": self._vault.seal(factor.secret.encode(), _place(factor.id)),
            "created_at": from_ms(factor.created_at_ms),
        }
        added = insert(TotpFactor).values(values).on_conflict_do_nothing().returning(TotpFactor.id)
        async with self._database.session() as session:
            await _lock(session, factor.user_id)
            await session.execute(pending)
            return (await session.execute(added)).first() is not None

    async def confirm_totp(self, factor_id: str, step: int, hashes: Sequence[bytes], now_ms: int) -> Added:
        now = from_ms(now_ms)
        statement = (
            update(TotpFactor)
            .where(TotpFactor.id == factor_id, TotpFactor.confirmed_at.is_(None))
            .values(confirmed_at=now, last_step=step, last_used_at=now)
            .returning(TotpFactor.user_id)
        )
        async with self._database.session() as session:
            user_id = await session.scalar(statement)
            if user_id is None:
                return Added(_UNKNOWN)
            return Added(codes=await _first_codes(session, user_id, hashes, now_ms))

    async def use_totp(self, factor_id: str, step: int, now_ms: int) -> bool:
        # Of two at once with the same code, the second waits for the row, and then sees the step of the first.
        statement = (
            update(TotpFactor)
            .where(TotpFactor.id == factor_id, TotpFactor.confirmed_at.is_not(None), TotpFactor.last_step < step)
            .values(last_step=step, last_used_at=from_ms(now_ms))
        )
        return await self._changed(statement.returning(TotpFactor.id))

    async def passkeys(self, user_id: str) -> Sequence[PasskeyRecord]:
        query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.created_at, Passkey.id)
        async with self._database.session() as session:
            return [_passkey(row) for row in (await session.scalars(query)).all()]

    async def passkey(self, credential_id: bytes) -> PasskeyRecord | None:
        query = select(Passkey).where(Passkey.credential_id == credential_id)
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else _passkey(row)

    async def add_passkey(self, passkey: PasskeyRecord, *, count_max: int, hashes: Sequence[bytes]) -> Added:
        copied = ("id", "credential_id", "user_id", "name", "public_key", "sign_count", "backed_up")
        values: dict[str, Any] = {name: getattr(passkey, name) for name in copied}
        values |= {"transports": list(passkey.transports), "created_at": from_ms(passkey.created_at_ms)}
        added = insert(Passkey).values(values).on_conflict_do_nothing().returning(Passkey.id)
        count = select(func.count()).select_from(Passkey).where(Passkey.user_id == passkey.user_id)
        async with self._database.session() as session:
            await _lock(session, passkey.user_id)
            if (await session.scalar(count) or 0) >= count_max:
                return Added("full")
            if (await session.execute(added)).first() is None:
                return Added("taken")
            return Added(codes=await _first_codes(session, passkey.user_id, hashes, passkey.created_at_ms))

    async def use_passkey(self, credential_id: bytes, count: int, now_ms: int) -> bool:
        rises = Passkey.sign_count < count if count else Passkey.sign_count == 0
        statement = (
            update(Passkey)
            .where(Passkey.credential_id == credential_id, rises)
            .values(sign_count=count, last_used_at=from_ms(now_ms))
        )
        return await self._changed(statement.returning(Passkey.id))

    async def remove(self, user_id: str, factor_id: str) -> bool:
        left = select(exists().where(_confirmed(user_id)) | exists().where(Passkey.user_id == user_id))
        async with self._database.session() as session:
            await _lock(session, user_id)
            gone = 0
            for table in (TotpFactor, Passkey):
                statement = delete(table).where(table.user_id == user_id, table.id == factor_id).returning(table.id)
                gone += len((await session.execute(statement)).all())
            if gone and not await session.scalar(left):
                await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        return bool(gone)

    async def remove_all(self, user_id: str) -> int:
        async with self._database.session() as session:
            await _lock(session, user_id)
            gone = 0
            for table in (TotpFactor, Passkey):
                statement = delete(table).where(table.user_id == user_id).returning(table.id)
                gone += len((await session.execute(statement)).all())
            await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        return gone

    async def put_recovery_codes(self, user_id: str, hashes: Sequence[bytes], now_ms: int) -> None:
        async with self._database.session() as session:
            await _lock(session, user_id)
            await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
            await _add_codes(session, user_id, hashes, now_ms)

    async def spend_recovery_code(self, user_id: str, hash: bytes, now_ms: int) -> bool:
        statement = (
            update(RecoveryCode)
            .where(RecoveryCode.user_id == user_id, RecoveryCode.hash == hash, RecoveryCode.used_at.is_(None))
            .values(used_at=from_ms(now_ms))
        )
        return await self._changed(statement.returning(RecoveryCode.hash))

    async def recovery_codes_left(self, user_id: str) -> int:
        query = (
            select(func.count())
            .select_from(RecoveryCode)
            .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
        )
        async with self._database.session() as session:
            return await session.scalar(query) or 0

    async def add_challenge(self, challenge: ChallengeRecord) -> None:
        old = delete(FactorChallenge).where(FactorChallenge.expires_at < from_ms(challenge.issued_at_ms))
        async with self._database.session() as session:
            await session.execute(old)
            session.add(
                FactorChallenge(
                    hash=challenge.hash,
                    purpose=challenge.purpose,
                    user_id=challenge.user_id or None,
                    device=challenge.device,
                    organization_id=challenge.organization_id or None,
                    amr=list(challenge.amr),
                    issued_at=from_ms(challenge.issued_at_ms),
                    expires_at=from_ms(challenge.expires_at_ms),
                )
            )

    async def challenge(self, hash: bytes, now_ms: int) -> ChallengeRecord | None:
        query = select(FactorChallenge).where(_live(hash, now_ms))
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        if row is None:
            return None
        return ChallengeRecord(
            hash=row.hash,
            purpose=cast("Purpose", row.purpose),
            issued_at_ms=to_ms(row.issued_at),
            expires_at_ms=to_ms(row.expires_at),
            user_id=row.user_id or "",
            device=row.device,
            organization_id=row.organization_id or "",
            amr=tuple(row.amr),
        )

    async def spend_challenge(self, hash: bytes, now_ms: int) -> bool:
        statement = update(FactorChallenge).where(_live(hash, now_ms)).values(used_at=from_ms(now_ms))
        return await self._changed(statement.returning(FactorChallenge.hash))

    async def _changed(self, statement: Any) -> bool:
        async with self._database.session() as session:
            return (await session.execute(statement)).first() is not None


async def _lock(session: AsyncSession, user_id: str) -> None:
    """What one person changes at once happens one after the other."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())


async def _first_codes(session: AsyncSession, user_id: str, hashes: Sequence[bytes], now_ms: int) -> bool:
    """Keep these recovery codes unless there are any already."""
    if await session.scalar(select(exists().where(RecoveryCode.user_id == user_id))):
        return False
    await _add_codes(session, user_id, hashes, now_ms)
    return True


async def _add_codes(session: AsyncSession, user_id: str, hashes: Sequence[bytes], now_ms: int) -> None:
    rows = [{"user_id": user_id, "hash": hashed, "created_at": from_ms(now_ms)} for hashed in hashes]
    await session.execute(insert(RecoveryCode), rows)


def _confirmed(user_id: str) -> Any:
    return (TotpFactor.user_id == user_id) & TotpFactor.confirmed_at.is_not(None)


def _live(hash: bytes, now_ms: int) -> Any:
    return (
        (FactorChallenge.hash == hash)
        & FactorChallenge.used_at.is_(None)
        & (FactorChallenge.expires_at > from_ms(now_ms))
    )


def _place(factor_id: str) -> str:
    return column_place("totp_factors", "secret", factor_id).decode()


def _passkey(row: Passkey) -> PasskeyRecord:
    return PasskeyRecord(
        id=row.id,
        credential_id=row.credential_id,
        user_id=row.user_id,
        name=row.name,
        public_key=row.public_key,
        sign_count=row.sign_count,
        created_at_ms=to_ms(row.created_at),
        transports=tuple(row.transports),
        backed_up=row.backed_up,
        last_used_at_ms=0 if row.last_used_at is None else to_ms(row.last_used_at),
    )

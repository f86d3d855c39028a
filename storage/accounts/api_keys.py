"""API keys and service accounts in Postgres. Every method is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.accounts.revocations import Ending, for_ever, up_to, write_revocations
from storage.db import Database
from storage.models import ApiKey, Organization, ServiceAccount
from storage.times import from_ms, to_ms

PERSON: Final = "person"
SERVICE: Final = "service"
ACTIVE: Final = "active"
DELETED: Final = "deleted"


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`organization_id` "" is the person for themselves. Times are milliseconds UTC, 0 for never."""

    id: str
    prefix: str
    owner_kind: str
    owner_id: str
    organization_id: str
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    last_used_at_ms: int = 0
    revoked_at_ms: int = 0


class ServiceAccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: active, suspended or deleted."""

    id: str
    organization_id: str
    name: str
    roles: tuple[str, ...]
    status: str
    created_by: str
    created_at_ms: int
    updated_at_ms: int


class ApiKeyTables:
    """`services.accounts.key_store.KeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_key(self, key: ApiKeyRecord, hashed: bytes, *, live_max: int, now_ms: int) -> bool:
        async with self._database.session() as session:
            return await _add(session, key, hashed, live_max, now_ms)

    async def rotate_key(
        self, old_id: str, key: ApiKeyRecord, hashed: bytes, *, until_ms: int, live_max: int, now_ms: int
    ) -> bool | None:
        old = (ApiKey.id == old_id, ApiKey.owner_id == key.owner_id, ApiKey.revoked_at.is_(None))
        sooner = update(ApiKey).where(*old)
        async with self._database.session() as session:
            if await session.scalar(select(ApiKey.id).where(*old).with_for_update()) is None:
                return None
            if not await _add(session, key, hashed, live_max + 1, now_ms):  # the old one makes room
                return False
            await session.execute(sooner.values(expires_at=func.least(ApiKey.expires_at, from_ms(until_ms))))
            await write_revocations(session, [up_to(old_id, Ending.OUTDATED, now_ms)])
        return True

    async def key_by_hash(self, hashed: bytes) -> ApiKeyRecord | None:
        return await self._key(select(ApiKey).where(ApiKey.hash == hashed))

    async def key(self, owner_id: str, key_id: str) -> ApiKeyRecord | None:
        return await self._key(select(ApiKey).where(ApiKey.owner_id == owner_id, ApiKey.id == key_id))

    async def keys(self, owner_id: str, now_ms: int) -> Sequence[ApiKeyRecord]:
        query = select(ApiKey).where(ApiKey.owner_id == owner_id, *_live(now_ms))
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(ApiKey.created_at.desc(), ApiKey.id))).all()
        return [_key_record(row) for row in rows]

    async def revoke_key(self, owner_id: str, key_id: str, reason: str, now_ms: int) -> bool:
        one = update(ApiKey).where(ApiKey.owner_id == owner_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        ended = one.values(revoked_at=from_ms(now_ms), revoked_for=reason).returning(ApiKey.id)
        async with self._database.session() as session:
            if (await session.execute(ended)).first() is None:
                return False
            await write_revocations(session, [for_ever(key_id, now_ms)])
        return True

    async def used_keys(self, used_ms: Mapping[str, int]) -> None:
        if not used_ms:
            return
        statement = (
            update(ApiKey.__table__)  # type: ignore[arg-type]
            .where(ApiKey.id == bindparam("key_id"))
            .values(last_used_at=func.greatest(ApiKey.last_used_at, bindparam("at")))
        )
        rows = [{"key_id": key_id, "at": from_ms(ms)} for key_id, ms in sorted(used_ms.items())]
        async with self._database.session() as session:
            await session.execute(statement, rows)

    async def add_service(self, service: ServiceAccountRecord, *, count_max: int) -> bool | None:
        there = select(func.count()).where(
            ServiceAccount.organization_id == service.organization_id, ServiceAccount.status != DELETED
        )
        async with self._database.session() as session:
            organization = select(Organization.id).where(Organization.id == service.organization_id)
            if await session.scalar(organization.with_for_update()) is None:
                return None
            if (await session.scalar(there) or 0) >= count_max:
                return False
            session.add(
                ServiceAccount(
                    id=service.id,
                    organization_id=service.organization_id,
                    name=service.name,
                    roles=list(service.roles),
                    status=service.status,
                    created_by=service.created_by,
                    created_at=from_ms(service.created_at_ms),
                    updated_at=from_ms(service.updated_at_ms),
                )
            )
        return True

    async def service(self, service_id: str) -> ServiceAccountRecord | None:
        async with self._database.session() as session:
            row = await session.get(ServiceAccount, service_id)
        return None if row is None else _service_record(row)

    async def organization_active(self, organization_id: str) -> bool:
        query = select(Organization.active).where(Organization.id == organization_id)
        async with self._database.session() as session:
            return bool(await session.scalar(query))

    async def services(self, organization_id: str, after: str, limit: int) -> Sequence[ServiceAccountRecord]:
        query = select(ServiceAccount).where(
            ServiceAccount.organization_id == organization_id,
            ServiceAccount.status != DELETED,
            ServiceAccount.id > after,
        )
        async with self._database.session() as session:
            rows = (await session.scalars(query.order_by(ServiceAccount.id).limit(limit))).all()
        return [_service_record(row) for row in rows]

    async def change_service(
        self, organization_id: str, service_id: str, changes: Mapping[str, Any], now_ms: int
    ) -> ServiceAccountRecord | None:
        values = {name: list(value) if name == "roles" else value for name, value in changes.items()}
        one = update(ServiceAccount).where(
            ServiceAccount.id == service_id,
            ServiceAccount.organization_id == organization_id,
            ServiceAccount.status != DELETED,
        )
        changed = one.values(**values, updated_at=from_ms(now_ms)).returning(ServiceAccount)
        async with self._database.session() as session:
            row = await session.scalar(changed)
            if row is None:
                return None
            await write_revocations(session, [up_to(service_id, Ending.OUTDATED, now_ms)])
        return _service_record(row)

    async def _key(self, query: Select[Any]) -> ApiKeyRecord | None:
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        return None if row is None else _key_record(row)


def _live(now_ms: int) -> tuple[Any, ...]:
    return (ApiKey.revoked_at.is_(None), ApiKey.expires_at > from_ms(now_ms))


async def _add(session: AsyncSession, key: ApiKeyRecord, hashed: bytes, live_max: int, now_ms: int) -> bool:
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key.owner_id, 0))))
    count = select(func.count()).where(ApiKey.owner_id == key.owner_id, *_live(now_ms))
    if (await session.scalar(count) or 0) >= live_max:
        return False
    session.add(
        ApiKey(
            id=key.id,
            hash=hashed,
            prefix=key.prefix,
            owner_kind=key.owner_kind,
            owner_id=key.owner_id,
            organization_id=key.organization_id or None,
            name=key.name,
            scopes=list(key.scopes),
            created_by=key.created_by,
            created_at=from_ms(key.created_at_ms),
            expires_at=from_ms(key.expires_at_ms),
        )
    )
    return True


def _key_record(row: ApiKey) -> ApiKeyRecord:
    return ApiKeyRecord(
        id=row.id,
        prefix=row.prefix,
        owner_kind=row.owner_kind,
        owner_id=row.owner_id,
        organization_id=row.organization_id or "",
        name=row.name,
        scopes=tuple(row.scopes),
        created_by=row.created_by,
        created_at_ms=to_ms(row.created_at),
        expires_at_ms=to_ms(row.expires_at),
        last_used_at_ms=0 if row.last_used_at is None else to_ms(row.last_used_at),
        revoked_at_ms=0 if row.revoked_at is None else to_ms(row.revoked_at),
    )


def _service_record(row: ServiceAccount) -> ServiceAccountRecord:
    return ServiceAccountRecord(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        roles=tuple(row.roles),
        status=row.status,
        created_by=row.created_by,
        created_at_ms=to_ms(row.created_at),
        updated_at_ms=to_ms(row.updated_at),
    )

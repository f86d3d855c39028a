"""Organizations of any kind, as plain rows. What a merchant sells by is in `storage.catalog`."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, PreconditionFailed
from storage.accounts.revocations import Ending, up_to, write_revocations
from storage.db import Database
from storage.models import Location, Organization, Product
from storage.times import from_ms


class OrganizationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is `merchant`, `clinic` or `organizer`. `version` rises with each change of the others."""

    id: str
    kind: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"
    active: bool = True
    version: int = 1


class OrganizationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`ids` None is any, as are `kind` "" and `active` None; `text` is found anywhere in a name, in either case."""

    ids: tuple[str, ...] | None = None
    kind: str = ""
    active: bool | None = None
    text: str = ""


_COLUMNS: Final = [getattr(Organization, name) for name in OrganizationRecord.__struct_fields__]
_FIXED: Final = ("kind", "currency")


class OrganizationTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def organization(self, organization_id: str) -> OrganizationRecord | None:
        query = select(*_COLUMNS).where(Organization.id == organization_id)
        async with self._database.session() as session:
            row: Any = (await session.execute(query)).first()
        return None if row is None else _record(row)

    async def organizations(self, wanted: OrganizationFilter, after_id: str, limit: int) -> list[OrganizationRecord]:
        """By id after `after_id`."""
        query = select(*_COLUMNS).where(Organization.id > after_id)
        if wanted.ids is not None:
            query = query.where(Organization.id.in_(wanted.ids))
        if wanted.kind:
            query = query.where(Organization.kind == wanted.kind)
        if wanted.active is not None:
            query = query.where(Organization.active == wanted.active)
        if wanted.text:
            query = query.where(Organization.name.icontains(wanted.text, autoescape=True))
        async with self._database.session() as session:
            return [_record(row) for row in (await session.execute(query.order_by(Organization.id).limit(limit))).all()]

    async def add(self, organization: OrganizationRecord) -> bool:
        """False, and nothing written, when the id is taken."""
        values = msgspec.structs.asdict(organization)
        statement = insert(Organization).values(values).on_conflict_do_nothing(index_elements=["id"])
        async with self._database.session() as session:
            return (await session.execute(statement.returning(Organization.id))).first() is not None

    async def change(
        self, organization_id: str, changes: Mapping[str, Any], *, expected: int
    ) -> tuple[OrganizationRecord, OrganizationRecord] | None:
        """What it was and what it is, once it was at version `expected` (-1: any). None: there is none.

        Raises `PreconditionFailed`, and `Conflict` (`organization_in_use`) for another kind or currency of what has
        products, locations or fees.
        """
        async with self._database.session() as session:
            before = await _locked(session, organization_id)
            if before is None:
                return None
            if expected not in {-1, before.version}:
                message = "This organization has been changed meanwhile."
                raise PreconditionFailed(message, extra={"current_version": before.version})
            other = any(changes.get(name, getattr(before, name)) != getattr(before, name) for name in _FIXED)
            if other and await session.scalar(_in_use(organization_id)):
                raise Conflict("It has products, locations or fees already.", code="organization_in_use")
            return before, await _put(session, organization_id, changes)

    async def set_active(self, organization_id: str, *, active: bool, now_ms: int) -> OrganizationRecord | None:
        """None: there is none, or it was so before. While it is not, access tokens for it of before are outdated."""
        async with self._database.session() as session:
            before = await _locked(session, organization_id)
            if before is None or before.active == active:
                return None
            if not active:
                await write_revocations(session, [up_to(organization_id, Ending.OUTDATED, now_ms)])
            return await _put(session, organization_id, {"active": active, "updated_at": from_ms(now_ms)})


async def _locked(session: AsyncSession, organization_id: str) -> OrganizationRecord | None:
    """Whoever is adding a product or a location to it waits, or is waited for."""
    query = select(*_COLUMNS).where(Organization.id == organization_id).with_for_update()
    row: Any = (await session.execute(query)).first()
    return None if row is None else _record(row)


async def _put(session: AsyncSession, organization_id: str, changes: Mapping[str, Any]) -> OrganizationRecord:
    values = {"updated_at": func.now(), **changes, "version": Organization.version + 1}
    one = update(Organization).where(Organization.id == organization_id).values(values)
    changed = one.returning(*_COLUMNS).execution_options(synchronize_session=False)
    return _record((await session.execute(changed)).one())


def _in_use(organization_id: str) -> Any:
    fees = Organization.service_fee_minor + Organization.delivery_fee_minor + Organization.minimum_order_minor
    return select(
        or_(
            exists().where(Product.merchant_id == organization_id),
            exists().where(Location.organization_id == organization_id),
            exists().where(Organization.id == organization_id, fees > 0),
        )
    )


def _record(row: Any) -> OrganizationRecord:
    return OrganizationRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name

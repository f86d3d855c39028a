"""Organizations of any kind, as plain rows. What a merchant sells by is in `storage.catalog`."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.db import Database
from storage.models import Organization


class OrganizationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is `merchant`, `clinic` or `organizer`."""

    id: str
    kind: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"


_COLUMNS = [getattr(Organization, name) for name in OrganizationRecord.__struct_fields__]


class OrganizationTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def organization(self, organization_id: str) -> OrganizationRecord | None:
        query = select(*_COLUMNS).where(Organization.id == organization_id)
        async with self._database.session() as session:
            row: Any = (await session.execute(query)).first()
        return None if row is None else OrganizationRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name

    async def add(self, organization: OrganizationRecord) -> bool:
        """False, and nothing written, when the id is taken."""
        values = msgspec.structs.asdict(organization)
        statement = insert(Organization).values(values).on_conflict_do_nothing(index_elements=["id"])
        async with self._database.session() as session:
            return (await session.execute(statement.returning(Organization.id))).first() is not None

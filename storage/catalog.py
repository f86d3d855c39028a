"""Merchants and what they sell, as plain tables. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, NotFound, invalid_field
from storage.db import Database
from storage.models import Organization, Product

_BATCH_ROWS = 1_000
"""Rows of one bulk statement (Postgres takes 65,535 parameters)."""
MERCHANT = "merchant"


class MerchantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's terms of sale. Amounts in minor units of `currency`."""

    id: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"
    delivery_fee_minor: int = 0
    service_fee_minor: int = 0
    minimum_order_minor: int = 0
    accept_within_ms: int = 600_000
    active: bool = True


class ProductRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something on a menu. `options`: groups `{id, name, min, max, options: [{id, name, price_minor}]}`."""

    id: str
    merchant_id: str
    name: str
    price_minor: int
    currency: str
    sku: str = ""
    category: str = ""
    options: tuple[dict[str, Any], ...] = ()
    max_quantity: int = 99
    active: bool = True


_MERCHANT_COLUMNS = [getattr(Organization, name) for name in MerchantRecord.__struct_fields__]
_PRODUCT_COLUMNS = [getattr(Product, name) for name in ProductRecord.__struct_fields__]


class CatalogTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def products(self, ids: Sequence[str]) -> dict[str, ProductRecord]:
        """The products with these ids, inactive ones too; unknown ones are left out."""
        found = await self._products(select(*_PRODUCT_COLUMNS).where(Product.id.in_(ids)))
        return {product.id: product for product in found}

    async def menu(self, merchant_id: str, after_id: str, limit: int) -> list[ProductRecord]:
        """Active products of a merchant by id, after `after_id` ("" from the beginning)."""
        wanted = (Product.merchant_id == merchant_id, Product.active, Product.id > after_id)
        return await self._products(select(*_PRODUCT_COLUMNS).where(*wanted).order_by(Product.id).limit(limit))

    async def merchant(self, merchant_id: str) -> MerchantRecord | None:
        found = await self._merchants(select(*_MERCHANT_COLUMNS).where(Organization.id == merchant_id))
        return found[0] if found else None

    async def currency(self, organization_id: str) -> str:
        """What an organization of any kind sells in; "" for an unknown one."""
        async with self._database.session() as session:
            query = select(Organization.currency).where(Organization.id == organization_id)
            return (await session.scalar(query)) or ""

    async def merchants(self, city: str, country: str, after_id: str, limit: int) -> list[MerchantRecord]:
        """Active merchants by id after `after_id`; of a city and a country where these are not ""."""
        query = select(*_MERCHANT_COLUMNS).where(Organization.active, Organization.id > after_id)
        if city:
            query = query.where(Organization.city == city)
        if country:
            query = query.where(Organization.country == country)
        return await self._merchants(query.order_by(Organization.id).limit(limit))

    async def add_merchant(self, merchant: MerchantRecord) -> bool:
        """False, and nothing written, when the id is taken."""
        values = {**msgspec.structs.asdict(merchant), "kind": MERCHANT}
        statement = insert(Organization).values(values).on_conflict_do_nothing(index_elements=["id"])
        async with self._database.session() as session:
            return (await session.execute(statement.returning(Organization.id))).first() is not None

    async def add_product(self, product: ProductRecord) -> bool:
        """False, and nothing written, when the id is taken.

        Raises `Conflict` `sku_taken` for a used SKU, `NotFound` for an unknown merchant, `Invalid` when that sells in
        another currency by now.
        """
        statement = insert(Product).values(_values(product)).on_conflict_do_nothing(index_elements=["id"])
        # Whoever gives the merchant another currency waits for this, and sees the product.
        sells_in = select(Organization.currency).where(Organization.id == product.merchant_id)
        try:
            async with self._database.session() as session:
                currency = await session.scalar(sells_in.with_for_update(read=True, key_share=True))
                if currency not in {None, product.currency}:
                    raise invalid_field("price.currency", "currency_mismatch", f"The merchant sells in {currency}.")
                return (await session.execute(statement.returning(Product.id))).first() is not None
        except IntegrityError as error:
            raise _meaning(error) from error

    async def put_product(self, product: ProductRecord) -> None:
        """Replace a product that exists. Raises as `add_product`."""
        values = {**_values(product), "updated_at": func.now()}
        try:
            async with self._database.session() as session:
                await session.execute(update(Product).where(Product.id == product.id).values(values))
        except IntegrityError as error:
            raise _meaning(error) from error

    async def put_merchants(self, merchants: Sequence[MerchantRecord]) -> None:
        """Insert or replace many."""
        rows = [{**msgspec.structs.asdict(one), "kind": MERCHANT} for one in merchants]
        await self._put(Organization, rows)

    async def put_products(self, products: Sequence[ProductRecord]) -> None:
        """Insert or replace many. Raises as `add_product`, with nothing written."""
        try:
            await self._put(Product, [_values(one) for one in products])
        except IntegrityError as error:
            raise _meaning(error) from error

    async def _put(self, table: type[Organization | Product], rows: list[dict[str, Any]]) -> None:
        async with self._database.session() as session:
            for start in range(0, len(rows), _BATCH_ROWS):
                statement = insert(table).values(rows[start : start + _BATCH_ROWS])
                changes: dict[str, Any] = {name: statement.excluded[name] for name in rows[0] if name != "id"}
                changes["updated_at"] = func.now()
                if table is Organization:
                    changes["version"] = Organization.version + 1
                await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes))

    async def _products(self, query: Select[Any]) -> list[ProductRecord]:
        async with self._database.session() as session:
            return [_product(row) for row in (await session.execute(query)).all()]

    async def _merchants(self, query: Select[Any]) -> list[MerchantRecord]:
        query = query.where(Organization.kind == MERCHANT)
        async with self._database.session() as session:
            return [MerchantRecord(**row._mapping) for row in (await session.execute(query)).all()]  # noqa: SLF001


def _product(row: Row[Any]) -> ProductRecord:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return ProductRecord(**{**values, "options": tuple(values["options"])})


def _values(product: ProductRecord) -> dict[str, Any]:
    return {**msgspec.structs.asdict(product), "options": list(product.options)}


def _meaning(error: IntegrityError) -> Exception:
    text = str(error.orig)
    if "uq_products_merchant_id_sku" in text:
        return Conflict("Another product of this merchant has this SKU.", code="sku_taken")
    if "fk_products_merchant_id_organizations" in text:
        return NotFound("There is no such merchant.")
    return error

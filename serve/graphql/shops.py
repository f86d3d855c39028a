"""Merchants and what they sell: for everybody, as in REST."""

import strawberry

from domain.lines import Option
from serve.graphql.connections import FIRST, Connection, connection, first_of
from serve.graphql.context import Info, known_id, reads
from serve.graphql.derive import Shown, shape, shows
from serve.graphql.links import read_merchant, read_products, to_merchant
from serve.platform.pages import id_of
from services.merchants import Merchant as MerchantRecord
from services.products import OptionGroup as OptionGroupRecord
from services.products import Product as ProductRecord


@shows(Option, whole=True)
class ProductOption:
    """Something that can be chosen with a product; its price is added to each unit."""


@shows(OptionGroupRecord, ProductOption, whole=True)
class OptionGroup:
    """Options of which a line chooses `min` to `max`."""


@shows(ProductRecord, OptionGroup, leave_out=("currency",), whole=True)
class Product:
    """Something on a merchant's menu."""

    merchant = to_merchant()


async def _menu(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """What the merchant sells now."""
    return await _sold(info, root["id"], first, after)


@shows(MerchantRecord, leave_out=("active",), whole=True)
class Merchant:
    """Somebody who takes orders."""

    menu = reads("merchants", _menu, Connection[Product], public=True)


async def merchant(info: Info, id: strawberry.ID) -> Shown:
    """A merchant that takes orders."""
    return await info.context.load(read_merchant, known_id(id))


async def merchants(
    info: Info, city: str = "", country: str = "", first: int = FIRST, after: str | None = None
) -> Shown:
    """Merchants that take orders, of a city or country if you say which."""
    limit = first_of(info, first)
    rows = await info.context.runtime.catalog.merchants(city, country, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([shape(row, whole=True) for row in shown], [row.id for row in shown], more=len(rows) > limit)


async def product(info: Info, id: strawberry.ID) -> Shown:
    """A product, also one that is not sold any more."""
    return await info.context.load_of_many(read_products, known_id(id))


async def products(info: Info, merchant_id: strawberry.ID, first: int = FIRST, after: str | None = None) -> Shown:
    """What a merchant sells now."""
    return await _sold(info, known_id(merchant_id), first, after)


async def _sold(info: Info, merchant_id: str, first: int, after: str | None) -> Shown:
    limit = first_of(info, first)
    rows = await info.context.runtime.catalog.menu(merchant_id, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([shape(row, whole=True) for row in shown], [row.id for row in shown], more=len(rows) > limit)

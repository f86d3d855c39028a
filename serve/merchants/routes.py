"""Merchants over HTTP."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.errors import invalid_field
from domain.ids import derived_id, new_id
from domain.money import Money
from serve.merchants import schemas
from serve.platform.answers import replayed
from serve.platform.caching import CATALOG_SECONDS, cacheable
from serve.platform.call import Answer, Call, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems, public_router
from serve.platform.schemas import PageQuery, Price
from serve.products.shown import shown_product
from services.merchants import Merchant

router = api_router("/merchants", "merchants")
public = public_router("/merchants", "merchants")


class _Shown(msgspec.Struct):
    id: str
    name: str
    currency: str
    city: str
    country: str
    time_zone: str
    delivery_fee: Money
    minimum_order: Money
    accept_within_seconds: int


@public.get("", response_model=schemas.MerchantPage)
@cacheable(CATALOG_SECONDS)
async def list_merchants(call: Call, query: Annotated[schemas.MerchantList, Query()]) -> Answer:
    """Merchants that take orders, of a city or country if you say which."""
    rows = await call.runtime.catalog.merchants(query.city, query.country, id_of(query.cursor), query.limit + 1)
    shown = [_shown(row) for row in rows[: query.limit]]
    return page(shown, shown[-1].id if len(rows) > query.limit else None)


@public.get("/{merchant_id}", response_model=schemas.Merchant, responses=problems(_404="Unknown."))
@cacheable(CATALOG_SECONDS)
async def get_merchant(call: Call, merchant_id: Id) -> Answer:
    return json_answer(_shown(await call.runtime.catalog.merchant(merchant_id)))


@public.get("/{merchant_id}/menu", response_model=schemas.Menu, responses=problems(_404="Unknown."))
@cacheable(CATALOG_SECONDS)
async def get_menu(call: Call, merchant_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    """What the merchant sells now, with the options of each product."""
    rows = await call.runtime.catalog.menu(merchant_id, id_of(query.cursor), query.limit + 1)
    shown = [shown_product(row) for row in rows[: query.limit]]
    return page(shown, shown[-1].id if len(rows) > query.limit else None)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Merchant,
    responses=problems(_404="Not an admin.", _422="The request is not valid."),
)
async def create_merchant(call: Call, body: schemas.CreateMerchant) -> Answer:
    """Take a merchant on (admins). With an `Idempotency-Key`, a repeat gives the same merchant."""
    key = call.idempotency_key()
    merchant = Merchant(
        id=new_id() if key is None else derived_id("merchant", call.actor.subject, key),
        name=body.name,
        currency=body.currency,
        city=body.city,
        country=body.country,
        time_zone=body.time_zone,
        delivery_fee_minor=_minor(body.delivery_fee, body.currency, "delivery_fee"),
        minimum_order_minor=_minor(body.minimum_order, body.currency, "minimum_order"),
        accept_within_ms=body.accept_within_seconds * 1_000,
    )
    merchant, repeated = await call.runtime.catalog.add_merchant(call.actor, merchant)
    location = (b"location", f"{API_PREFIX}/merchants/{merchant.id}".encode())
    return json_answer(_shown(merchant), HTTPStatus.CREATED, [location, *replayed(repeated)])


def _minor(price: Price | None, currency: str, path: str) -> int:
    if price is None:
        return 0
    if price.currency != currency:
        raise invalid_field(f"{path}.currency", "currency_mismatch", "Must be the merchant's currency.")
    return price.amount


def _shown(merchant: Merchant) -> _Shown:
    return _Shown(
        merchant.id,
        merchant.name,
        merchant.currency,
        merchant.city,
        merchant.country,
        merchant.time_zone,
        Money(merchant.delivery_fee_minor, merchant.currency),
        Money(merchant.minimum_order_minor, merchant.currency),
        merchant.accept_within_ms // 1_000,
    )

"""Products over HTTP: anybody reads them, the merchant's staff keeps them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from domain.errors import invalid_field
from domain.ids import derived_id, new_id
from domain.lines import Option
from serve.platform.answers import replayed
from serve.platform.caching import CATALOG_SECONDS, cacheable
from serve.platform.call import Answer, Call, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems, public_router
from serve.products import schemas
from serve.products.shown import shown_product
from services.products import OptionGroup, Product

router = api_router("/products", "products")
public = public_router("/products", "products")

_STAFF = problems(
    _404="No such product or merchant, or not yours.", _409="The SKU is taken.", _422="The request is not valid."
)


@public.get("", response_model=schemas.ProductPage, responses=problems(_404="No such merchant."))
@cacheable(CATALOG_SECONDS)
async def list_products(call: Call, query: Annotated[schemas.ProductList, Query()]) -> Answer:
    """What a merchant sells now."""
    rows = await call.runtime.catalog.menu(query.merchant_id, id_of(query.cursor), query.limit + 1)
    shown = [shown_product(row) for row in rows[: query.limit]]
    return page(shown, shown[-1].id if len(rows) > query.limit else None)


@public.get("/{product_id}", response_model=schemas.Product, responses=problems(_404="Unknown."))
@cacheable(CATALOG_SECONDS)
async def get_product(call: Call, product_id: Id) -> Answer:
    return json_answer(shown_product(await call.runtime.catalog.product(product_id)))


@router.post("", status_code=201, response_model=schemas.Product, responses=_STAFF)
async def create_product(call: Call, body: schemas.PutProduct) -> Answer:
    """Put a product on the menu. With an `Idempotency-Key`, a repeat gives the same product."""
    key = call.idempotency_key()
    product_id = new_id() if key is None else derived_id("product", call.actor.subject, key)
    product, repeated = await call.runtime.catalog.add_product(call.actor, _product(product_id, body))
    location = (b"location", f"{API_PREFIX}/products/{product.id}".encode())
    return json_answer(shown_product(product), HTTPStatus.CREATED, [location, *replayed(repeated)])


@router.put("/{product_id}", response_model=schemas.Product, responses=_STAFF)
async def put_product(call: Call, product_id: Id, body: schemas.PutProduct) -> Answer:
    """Replace a product. Carts keep the old price until their price time is over."""
    product = await call.runtime.catalog.put_product(call.actor, _product(product_id, body))
    return json_answer(shown_product(product))


def _product(product_id: str, body: schemas.PutProduct) -> Product:
    currency = body.price.currency
    return Product(
        id=product_id,
        merchant_id=body.merchant_id,
        name=body.name,
        price_minor=body.price.amount,
        currency=currency,
        sku=body.sku,
        category=body.category,
        options=tuple(_group(group, currency, at) for at, group in enumerate(body.options)),
        max_quantity=body.max_quantity,
        active=body.active,
    )


def _group(group: schemas.OptionGroup, currency: str, at: int) -> OptionGroup:
    options = []
    for number, option in enumerate(group.options):
        if option.price is not None and option.price.currency != currency:
            path = f"options.{at}.options.{number}.price.currency"
            raise invalid_field(path, "currency_mismatch", "Must be the product's currency.")
        options.append(Option(option.id, option.name, 0 if option.price is None else option.price.amount))
    return OptionGroup(id=group.id, name=group.name, min=group.min, max=group.max, options=tuple(options))

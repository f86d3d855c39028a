"""The catalog: merchants and what they sell. Plain tables behind an interface."""

from collections.abc import Sequence
from typing import Protocol

from actors.runtime.entity import Actor
from domain.errors import Conflict, Invalid, NotFound, invalid_field
from domain.money import check_currency, check_price
from services.access.check import require
from services.access.orders import require_merchant
from services.access.policy import Permission
from services.merchants import Merchant, MerchantCache
from services.products import Product, ProductCache


class CatalogStore(Protocol):
    """Where the catalog is kept. Each method is one transaction."""

    async def products(self, ids: Sequence[str]) -> dict[str, Product]: ...
    async def merchant(self, merchant_id: str) -> Merchant | None: ...
    async def currency(self, organization_id: str) -> str:
        """What an organization of any kind sells in; "" for an unknown one."""

    async def merchants(self, city: str, country: str, after_id: str, limit: int) -> Sequence[Merchant]:
        """Active merchants by id, of a city and a country if these are given, after `after_id`."""

    async def menu(self, merchant_id: str, after_id: str, limit: int) -> Sequence[Product]:
        """Active products of a merchant by id, after `after_id`."""

    async def add_merchant(self, merchant: Merchant) -> bool:
        """False, and nothing written, when the id is taken."""

    async def add_product(self, product: Product) -> bool:
        """False, and nothing written, when the id is taken. `Conflict` with `sku_taken` for a used SKU."""

    async def put_product(self, product: Product) -> None:
        """Replace a product that exists."""


class Catalog:
    def __init__(self, store: CatalogStore, products: ProductCache, merchants: MerchantCache) -> None:
        self._store = store
        self._products = products
        self._merchants = merchants

    async def merchant(self, merchant_id: str) -> Merchant:
        merchant = await self._merchants.merchant(merchant_id)
        if merchant is None or not merchant.active:
            raise NotFound("There is no such merchant.")
        return merchant

    def forget_merchant(self, merchant_id: str) -> None:
        """It was changed: look it up anew, here. Other gateways go by what they know for `services.lookups.TTL_MS`."""
        self._merchants.forget(merchant_id)

    async def merchants(self, city: str, country: str, after_id: str, limit: int) -> Sequence[Merchant]:
        return await self._store.merchants(city, country, after_id, limit)

    async def menu(self, merchant_id: str, after_id: str, limit: int) -> Sequence[Product]:
        await self.merchant(merchant_id)
        return await self._store.menu(merchant_id, after_id, limit)

    async def product(self, product_id: str) -> Product:
        product = (await self._store.products((product_id,))).get(product_id)
        if product is None:
            raise NotFound("There is no such product.")
        return product

    async def products(self, ids: Sequence[str]) -> dict[str, Product]:
        """The products with these ids; unknown ones are left out."""
        return await self._store.products(ids)

    async def add_merchant(self, actor: Actor, merchant: Merchant) -> tuple[Merchant, bool]:
        """The merchant, and whether this very one was there before. Admins only."""
        require(actor, Permission.MERCHANT_CREATE)
        check_currency(merchant.currency)
        check_price(merchant.delivery_fee_minor, "delivery_fee")
        check_price(merchant.minimum_order_minor, "minimum_order")
        if await self._store.add_merchant(merchant):
            return merchant, False
        if await self._store.merchant(merchant.id) != merchant:
            raise _reused()
        return merchant, True

    async def add_product(self, actor: Actor, product: Product) -> tuple[Product, bool]:
        """The product, and whether this very one was there before. For the merchant's staff."""
        await self._check(actor, product)
        if await self._store.add_product(product):
            return product, False
        if (await self._store.products((product.id,))).get(product.id) != product:
            raise _reused()
        return product, True

    async def put_product(self, actor: Actor, product: Product) -> Product:
        """Replace a product of one's own merchant; it cannot move to another one."""
        known = await self.product(product.id)
        require_merchant(actor, known.merchant_id)
        if product.merchant_id != known.merchant_id:
            raise Conflict("A product stays with its merchant.", code="merchant_fixed")
        await self._check(actor, product)
        await self._store.put_product(product)
        self._products.forget(product.id)
        return product

    async def _check(self, actor: Actor, product: Product) -> None:
        require_merchant(actor, product.merchant_id)
        currency = await self._store.currency(product.merchant_id)
        if not currency:
            raise NotFound("There is no such merchant.")
        if product.currency != currency:
            raise invalid_field("price.currency", "currency_mismatch", f"The merchant sells in {currency}.")
        check_price(product.price_minor, "price.amount")
        seen: set[str] = set()
        for at, group in enumerate(product.options):
            if not 0 <= group.min <= group.max <= len(group.options):
                message = "0 ≤ min ≤ max ≤ how many options there are."
                raise invalid_field(f"options.{at}", "option_bounds", message)
            for number, option in enumerate(group.options):
                check_price(option.price_minor, f"options.{at}.options.{number}.price")
                if option.id in seen:
                    path = f"options.{at}.options.{number}.id"
                    raise invalid_field(path, "duplicate", "Option ids are unique within a product.")
                seen.add(option.id)


def _reused() -> Invalid:
    return Invalid("This key was used with another body.", code="idempotency_key_reused")

"""What the catalog says of a product, and what a customer may choose of it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from domain.errors import FieldError, Invalid, invalid_field
from domain.lines import Option
from services.lookups import Clock, Lookups


class OptionGroup(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Options of which a line chooses `min` to `max`. Option ids are unique within the product."""

    id: str
    name: str
    min: int = 0
    max: int = 1
    options: tuple[Option, ...] = ()


class Product(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something on a merchant's menu. Prices are minor units of `currency`, of one unit without options."""

    id: str
    merchant_id: str
    name: str
    price_minor: int
    currency: str
    sku: str = ""
    category: str = ""
    options: tuple[OptionGroup, ...] = ()
    max_quantity: int = 99
    active: bool = True


class ProductSource(Protocol):
    async def products(self, ids: Sequence[str]) -> dict[str, Product]:
        """The products with these ids; unknown ones are left out, inactive ones are not."""


class ProductCache:
    """Products that can be bought now, by what was looked up lately."""

    def __init__(self, source: ProductSource, clock: Clock) -> None:
        self._lookups: Lookups[Product] = Lookups(source.products, clock)

    async def get(self, product_id: str) -> Product | None:
        product = await self._lookups.get(product_id)
        return product if product is not None and product.active else None

    async def known(self, product_id: str) -> Product | None:
        """As `get`, also what is not sold any more."""
        return await self._lookups.get(product_id)

    async def get_all(self, ids: Iterable[str]) -> dict[str, Product]:
        found = await self._lookups.get_all(ids)
        return {product_id: product for product_id, product in found.items() if product.active}

    def forget(self, product_id: str) -> None:
        self._lookups.forget(product_id)


def choose(product: Product, option_ids: Sequence[str]) -> tuple[Option, ...]:
    """The chosen options with their prices, in the menu's order. Raises `Invalid` naming the field."""
    if not option_ids and not product.options:
        return ()
    known = {option.id: option for group in product.options for option in group.options}
    errors = [
        FieldError(f"options.{at}", "unknown_option", "The product has no such option.")
        for at, option_id in enumerate(option_ids)
        if option_id not in known
    ]
    if errors:
        raise Invalid("The request is not valid.", errors=errors)
    chosen = set(option_ids)
    if len(chosen) < len(option_ids):
        raise invalid_field("options", "duplicate", "Each option at most once.")
    for group in product.options:
        count = sum(option.id in chosen for option in group.options)
        if not group.min <= count <= group.max:
            message = f"Choose {group.min} to {group.max} of “{group.name}”, not {count}."
            raise invalid_field("options", "option_count", message)
    return tuple(option for option_id, option in known.items() if option_id in chosen)

"""What the catalog says of a product, and what a customer may choose of it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from domain.errors import FieldError, Invalid, invalid_field
from domain.lines import Option

CACHE_TTL_MS = 5_000
"""How long a gateway goes by a product it has looked up: a new price shows after at most this."""
CACHE_PRODUCTS_MAX = 20_000


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


class Clock(Protocol):
    def now_ms(self) -> int: ...


class ProductCache:
    """Products looked up lately. Concurrent misses of one product share one query; misses are not kept."""

    def __init__(self, source: ProductSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._held: dict[str, tuple[int, Product]] = {}
        self._loading: dict[str, asyncio.Task[dict[str, Product]]] = {}

    async def get(self, product_id: str) -> Product | None:
        """The product if it can be bought now."""
        held = self._held.get(product_id)
        if held is not None and held[0] > self._clock.now_ms():
            return held[1] if held[1].active else None
        product = (await self._load((product_id,))).get(product_id)
        return product if product is not None and product.active else None

    async def get_all(self, ids: Iterable[str]) -> dict[str, Product]:
        """Those of `ids` that can be bought now."""
        now, found, missing = self._clock.now_ms(), {}, []
        for product_id in dict.fromkeys(ids):
            held = self._held.get(product_id)
            if held is not None and held[0] > now:
                found[product_id] = held[1]
            else:
                missing.append(product_id)
        if missing:
            found |= await self._load(tuple(missing))
        return {product_id: product for product_id, product in found.items() if product.active}

    def forget(self, product_id: str) -> None:
        self._held.pop(product_id, None)

    async def _load(self, ids: tuple[str, ...]) -> dict[str, Product]:
        if len(ids) > 1:
            return await self._fetch(ids)
        task = self._loading.get(ids[0])
        if task is None:
            task = asyncio.ensure_future(self._fetch(ids))
            self._loading[ids[0]] = task
            task.add_done_callback(lambda _: self._loading.pop(ids[0], None))
        return await asyncio.shield(task)

    async def _fetch(self, ids: tuple[str, ...]) -> dict[str, Product]:
        found = await self._source.products(ids)
        until = self._clock.now_ms() + CACHE_TTL_MS
        for product_id, product in found.items():
            while len(self._held) >= CACHE_PRODUCTS_MAX:
                del self._held[next(iter(self._held))]
            self._held[product_id] = (until, product)
        return found


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

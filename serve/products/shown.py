"""A product as it is shown."""

import msgspec

from domain.money import Money
from services.products import Product


class ShownOption(msgspec.Struct):
    id: str
    name: str
    price: Money


class ShownGroup(msgspec.Struct):
    id: str
    name: str
    min: int
    max: int
    options: list[ShownOption]


class ShownProduct(msgspec.Struct):
    id: str
    merchant_id: str
    name: str
    sku: str
    category: str
    price: Money
    max_quantity: int
    active: bool
    options: list[ShownGroup]


def shown_product(product: Product) -> ShownProduct:
    currency = product.currency
    groups = [
        ShownGroup(
            group.id,
            group.name,
            group.min,
            group.max,
            [ShownOption(each.id, each.name, Money(each.price_minor, currency)) for each in group.options],
        )
        for group in product.options
    ]
    return ShownProduct(
        product.id,
        product.merchant_id,
        product.name,
        product.sku,
        product.category,
        Money(product.price_minor, currency),
        product.max_quantity,
        product.active,
        groups,
    )

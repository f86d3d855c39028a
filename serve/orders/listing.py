"""An order as it is listed."""

import msgspec

from domain.money import Money
from domain.times import to_rfc3339
from services.listings import OrderEntry


class Listed(msgspec.Struct, omit_defaults=True):
    id: str
    version: int
    status: str
    user_id: str
    merchant_id: str
    total: Money
    lines_count: int
    placed_at: str
    updated_at: str
    courier_id: str = ""
    cart_id: str = ""


def listed(row: OrderEntry) -> Listed:
    return Listed(
        row.id,
        row.version,
        row.status,
        row.user_id,
        row.merchant_id,
        Money(row.total_minor, row.currency),
        row.lines_count,
        to_rfc3339(row.placed_at_ms),
        to_rfc3339(row.updated_at_ms),
        row.courier_id,
        row.cart_id,
    )

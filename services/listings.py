"""Lists of carts and orders, from their index rows. Who may see which is in `services.access.orders`."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from domain.money import Money
from storage.orders import OrderEntry, OrderFilter

__all__ = ["CartEntry", "Listings", "OrderEntry", "OrderFilter", "Place", "StatusCount"]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: the last entry's time (ms) and id. The next page is what is older."""

    at_ms: int
    id: str


class CartEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    status: str
    created_at_ms: int
    updated_at_ms: int
    merchant_id: str = ""


class StatusCount(msgspec.Struct, frozen=True):
    """How many orders of one merchant have a status, and their sum."""

    status: str
    count: int
    total: Money


class Listings(Protocol):
    """Newest first. Every method reads its own writes: index rows are written in the entity's commit."""

    async def orders(self, wanted: OrderFilter, after: Place | None, limit: int) -> Sequence[OrderEntry]: ...
    async def carts(
        self, owner: str, statuses: Sequence[str], after: Place | None, limit: int
    ) -> Sequence[CartEntry]: ...
    async def order_counts(self, wanted: OrderFilter) -> Sequence[StatusCount]: ...

"""Lists of carts and orders, from their index rows, for those who may see them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.order_status import OrderStatus
from actors.runtime.entity import Actor
from domain.errors import NotFound, invalid_field
from domain.money import Money


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: the last entry's time (ms) and id. The next page is what is older."""

    at_ms: int
    id: str


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of one user, merchant or courier ("" for any). Times in ms, `until_ms` exclusive."""

    user_id: str = ""
    merchant_id: str = ""
    courier_id: str = ""
    statuses: tuple[OrderStatus, ...] = ()
    since_ms: int = 0
    until_ms: int = 0


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as it is listed."""

    id: str
    version: int
    user_id: str
    merchant_id: str
    status: str
    currency: str
    total_minor: int
    lines_count: int
    placed_at_ms: int
    updated_at_ms: int
    courier_id: str = ""
    cart_id: str = ""


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


def permitted(actor: Actor, wanted: OrderFilter) -> OrderFilter:
    """`wanted` if the actor may list it; without any party, the actor's own orders.

    Raises `NotFound` for another user's, merchant's or courier's list, as for any foreign id.
    """
    if actor.runs_platform():
        return wanted
    if not (wanted.user_id or wanted.merchant_id or wanted.courier_id):
        return msgspec.structs.replace(wanted, user_id=actor.subject)
    own = {
        "user_id": bool(wanted.user_id) and wanted.user_id == actor.subject,
        "merchant_id": actor.has_role("merchant_staff", "admin") and actor.acts_for(wanted.merchant_id),
        "courier_id": actor.has_role("courier") and wanted.courier_id == actor.subject,
    }
    if not any(own.values()):
        raise NotFound("There is no such list of orders.")
    return wanted


def merchant_only(actor: Actor, merchant_id: str) -> None:
    """Raises `NotFound` unless the actor works for this merchant (or runs the platform)."""
    if not merchant_id:
        raise invalid_field("merchant_id", "missing", "Which merchant?")
    works_there = actor.has_role("merchant_staff", "admin") and actor.acts_for(merchant_id)
    if not works_there and not actor.runs_platform():
        raise NotFound("There is no such merchant.")

"""A cart's events and the state they add up to. Kept small: a hundred thousand of them live in one host.

`gc=False`: nothing here can form a cycle, so the collector need not visit it.
"""

from collections.abc import Iterable
from enum import StrEnum
from sys import intern
from typing import Final

import msgspec

from actors.cart_commands import Terms
from domain.lines import Line, Option, unit_total
from domain.times import DAY_MS, HOUR_MS

PRICE_TTL_MS: Final = HOUR_MS
"""How long a line keeps the price it was added at (M3)."""
ABANDON_AFTER_MS: Final = DAY_MS
"""How long a cart stays open without its owner doing anything."""
LINES_MAX: Final = 200
QUANTITY_MAX: Final = 999
"""Units in one line, unless the product allows fewer."""
OPTIONS_MAX: Final = 20
NAME_LENGTH_MAX: Final = 200
INSTRUCTIONS_LENGTH_MAX: Final = 500
REASON_LENGTH_MAX: Final = 500


class CartStatus(StrEnum):
    OPEN = "open"
    CHECKING_OUT = "checking_out"
    CONVERTED = "converted"
    ABANDONED = "abandoned"
    MERGED = "merged"
    DELETED = "deleted"


CLOSED: Final = frozenset((CartStatus.CONVERTED, CartStatus.MERGED, CartStatus.DELETED))


class Created(msgspec.Struct, frozen=True, omit_defaults=True, tag="created"):
    cart_id: str
    owner: str
    currency: str
    merchant_id: str = ""


class LineAdded(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="line_added"):
    """`priced_at_ms` 0: at the event's own time."""

    line_id: str
    product_id: str
    name: str
    unit_price_minor: int
    quantity: int
    options: tuple[Option, ...] = ()
    instructions: str = ""
    max_quantity: int = 0
    priced_at_ms: int = 0


class QuantityChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag="quantity_changed"):
    """`overwrote`: the sender had not seen `was`; kept so that the loser of the race is in the history.

    `max_quantity` -1: as it was.
    """

    line_id: str
    quantity: int
    was: int
    overwrote: bool = False
    max_quantity: int = -1


class LineUpdated(msgspec.Struct, frozen=True, omit_defaults=True, tag="line_updated"):
    """The line's whole choice as it is now."""

    line_id: str
    quantity: int
    options: tuple[Option, ...] = ()
    instructions: str = ""


class LineRemoved(msgspec.Struct, frozen=True, omit_defaults=True, tag="line_removed"):
    line_id: str


class Cleared(msgspec.Struct, frozen=True, omit_defaults=True, tag="cleared"):
    pass


class MerchantChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag="merchant_changed"):
    """Empties the cart: lines of two merchants never mix."""

    merchant_id: str


class Merged(msgspec.Struct, frozen=True, omit_defaults=True, tag="merged"):
    """Followed by the line events it caused."""

    source_id: str


class MergedInto(msgspec.Struct, frozen=True, omit_defaults=True, tag="merged_into"):
    into_id: str


class LineRepriced(msgspec.Struct, frozen=True, omit_defaults=True, tag="line_repriced"):
    """A fresh price for `PRICE_TTL_MS`; `was_minor` is what a unit cost before, with its options."""

    line_id: str
    unit_price_minor: int
    was_minor: int
    options: tuple[Option, ...] = ()


class AvailabilityChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag="availability_changed"):
    line_id: str
    available: bool


class NoticesDismissed(msgspec.Struct, frozen=True, omit_defaults=True, tag="notices_dismissed"):
    pass


class CheckoutBegan(msgspec.Struct, frozen=True, omit_defaults=True, tag="checkout_began"):
    """All that placing the order needs, frozen."""

    order_id: str
    owner: str
    merchant_id: str
    currency: str
    lines: tuple[Line, ...]
    subtotal_minor: int
    total_minor: int
    terms: Terms | None = None


class CheckoutCancelled(msgspec.Struct, frozen=True, omit_defaults=True, tag="checkout_cancelled"):
    order_id: str
    reason: str = ""


class CheckoutCompleted(msgspec.Struct, frozen=True, omit_defaults=True, tag="checkout_completed"):
    order_id: str


class Abandoned(msgspec.Struct, frozen=True, omit_defaults=True, tag="abandoned"):
    pass


class Revived(msgspec.Struct, frozen=True, omit_defaults=True, tag="revived"):
    pass


class Deleted(msgspec.Struct, frozen=True, omit_defaults=True, tag="deleted"):
    pass


class Erased(msgspec.Struct, frozen=True, tag="erased"):
    """What was in the cart is gone, here and in the journal; a cart that was not closed is deleted."""


Event = (
    Created
    | LineAdded
    | QuantityChanged
    | LineUpdated
    | LineRemoved
    | Cleared
    | MerchantChanged
    | Merged
    | MergedInto
    | LineRepriced
    | AvailabilityChanged
    | NoticesDismissed
    | CheckoutBegan
    | CheckoutCancelled
    | CheckoutCompleted
    | Abandoned
    | Revived
    | Deleted
    | Erased
)


class CartLine(Line, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A line in a cart. `changed_version` is the cart's version at which its quantity last changed."""

    priced_at_ms: int
    changed_version: int
    max_quantity: int = 0
    repriced_from_minor: int = -1
    unavailable: bool = False


class CartState(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`active_at_ms`: the owner's last change. `indexed_at_ms`: the last change that its index row shows."""

    id: str
    owner: str
    currency: str
    created_at_ms: int
    active_at_ms: int
    indexed_at_ms: int
    merchant_id: str = ""
    status: CartStatus = CartStatus.OPEN
    lines: dict[str, CartLine] = {}
    next_line: int = 1
    order_id: str = ""
    merged_into: str = ""


def prices_expire_at(lines: Iterable[CartLine]) -> int:
    """When the first price runs out; 0 for an empty cart."""
    oldest = min((line.priced_at_ms for line in lines), default=-1)
    return oldest + PRICE_TTL_MS if oldest >= 0 else 0


def quantity_limit(max_quantity: int) -> int:
    return min(max_quantity, QUANTITY_MAX) if max_quantity > 0 else QUANTITY_MAX


def new_line(event: LineAdded, time_ms: int, version: int) -> CartLine:
    """Texts that many carts share are interned: one copy in the host instead of one a line."""
    return CartLine(
        line_id=intern(event.line_id),
        product_id=intern(event.product_id),
        name=intern(event.name),
        unit_price_minor=event.unit_price_minor,
        quantity=event.quantity,
        options=event.options,
        instructions=event.instructions,
        max_quantity=event.max_quantity,
        priced_at_ms=event.priced_at_ms or time_ms,
        changed_version=version,
    )


def repriced_line(line: CartLine, event: LineRepriced, time_ms: int) -> CartLine:
    """The notice shows the oldest price the customer has not been told about; back at it, there is none."""
    was = line.repriced_from_minor if line.repriced_from_minor >= 0 else event.was_minor
    fresh = msgspec.structs.replace(
        line, unit_price_minor=event.unit_price_minor, options=event.options, priced_at_ms=time_ms
    )
    told = -1 if unit_total(fresh) == was else was
    return msgspec.structs.replace(fresh, repriced_from_minor=told)

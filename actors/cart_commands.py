"""What can be asked of a cart. The tag is the operation's name in the API, the protocol and the journal.

Prices, names, options and the merchant's choice are resolved at the edge from the catalog and trusted here:
no command with a price in it may come from a device as it is (`actors.kinds.DEVICE_OPERATIONS`).
Lengths and ranges are checked in `decide`, so that every refusal names its field.
"""

import msgspec

from actors.order_commands import Address
from actors.order_status import Fulfilment
from domain.lines import Option
from domain.times import MINUTE_MS


class Create(msgspec.Struct, frozen=True, omit_defaults=True, tag="create"):
    """Open a cart for the sender; `owner` counts only when `SYSTEM` asks. A merchant may come later."""

    currency: str
    merchant_id: str = ""
    owner: str = ""


class AddLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="add_line"):
    """Add a product; the same product, options and instructions add to that line's quantity (commutative).

    `merchant_id` must be the cart's (an empty cart takes it over). `max_quantity` 0 means the cart's own
    limit. Reply: `{"line_id": ...}`.
    """

    product_id: str
    name: str
    unit_price_minor: int
    currency: str
    merchant_id: str
    quantity: int = 1
    options: tuple[Option, ...] = ()
    instructions: str = ""
    max_quantity: int = 0


class SetQuantity(msgspec.Struct, frozen=True, omit_defaults=True, tag="set_quantity"):
    """Register: the last to arrive wins; what a stale `base_version` overwrote stays in the history."""

    line_id: str
    quantity: int
    base_version: int = -1


class UpdateLine(msgspec.Struct, frozen=True, omit_defaults=True, tag="update_line"):
    """Change what is given. A line that becomes like another one joins it; the reply names the line left."""

    line_id: str
    quantity: int | None = None
    options: tuple[Option, ...] | None = None
    instructions: str | None = None


class RemoveLine(msgspec.Struct, frozen=True, omit_defaults=True, tag="remove_line"):
    line_id: str


class Clear(msgspec.Struct, frozen=True, omit_defaults=True, tag="clear"):
    pass


class SetMerchant(msgspec.Struct, frozen=True, omit_defaults=True, tag="set_merchant"):
    """`cart_other_merchant` while lines of another merchant are in it, unless `replace`, which empties it."""

    merchant_id: str
    replace: bool = False


class MergeLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A line of the other cart. `priced_at_ms` 0: the price is of now, else as old as that."""

    product_id: str
    name: str
    unit_price_minor: int
    quantity: int
    options: tuple[Option, ...] = ()
    instructions: str = ""
    max_quantity: int = 0
    priced_at_ms: int = 0


class Merge(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="merge"):
    """Take over a guest's cart: its quantity replaces that of the same line, its other lines are added."""

    source_id: str
    merchant_id: str
    currency: str
    lines: tuple[MergeLine, ...]
    replace: bool = False


class MarkMerged(msgspec.Struct, frozen=True, omit_defaults=True, tag="mark_merged"):
    """Close this cart: its lines went into another one. From its owner or `SYSTEM`."""

    into_id: str


class Price(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a line costs now. `options` None leaves the options' prices as they are."""

    line_id: str
    unit_price_minor: int = 0
    options: tuple[Option, ...] | None = None
    available: bool = True


class Reprice(msgspec.Struct, frozen=True, omit_defaults=True, tag="reprice"):
    """Current prices, by `SYSTEM`. Lines whose price TTL has not passed keep theirs (M3)."""

    prices: tuple[Price, ...]


class DismissNotices(msgspec.Struct, frozen=True, omit_defaults=True, tag="dismiss_notices"):
    """The customer has seen the new prices."""


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an order needs besides its lines. Kept with the checkout, so that anyone can finish it.

    The order checks them; a refusal there ends the checkout.
    """

    payment_method: str = "pay_on_delivery"
    fulfilment: Fulfilment = Fulfilment.DELIVERY
    address: Address | None = None
    instructions: str = ""
    delivery_fee_minor: int = 0
    accept_within_ms: int = 10 * MINUTE_MS


class BeginCheckout(msgspec.Struct, frozen=True, omit_defaults=True, tag="begin_checkout"):
    """Freeze the cart for one order. Reply: `{"order_id": ...}`, the first one's to whoever presses again.

    An empty `order_id` lets the cart choose. `expected_total_minor` -1 accepts any total.
    """

    order_id: str = ""
    expected_total_minor: int = -1
    terms: Terms | None = None


class CancelCheckout(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancel_checkout"):
    """By `SYSTEM` only: the order was not placed, and never will be under this id."""

    order_id: str
    reason: str = ""


class CompleteCheckout(msgspec.Struct, frozen=True, omit_defaults=True, tag="complete_checkout"):
    """By `SYSTEM` only: the order exists."""

    order_id: str


class Delete(msgspec.Struct, frozen=True, omit_defaults=True, tag="delete"):
    """The owner gives the cart up; it then looks unknown."""


class Erase(msgspec.Struct, frozen=True, omit_defaults=True, tag="erase"):
    """Forget what is in the cart (rule P1), and give it up unless it is closed. By `SYSTEM` only; again: a no-op."""


Command = (
    Create
    | AddLine
    | SetQuantity
    | UpdateLine
    | RemoveLine
    | Clear
    | SetMerchant
    | Merge
    | MarkMerged
    | Reprice
    | DismissNotices
    | BeginCheckout
    | CancelCheckout
    | CompleteCheckout
    | Delete
    | Erase
)

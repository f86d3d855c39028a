"""What can be asked of an order. The tag is the operation's name in the API, the protocol and the journal."""

from enum import StrEnum

import msgspec

from actors.order_status import Fulfilment
from domain.lines import Line
from domain.times import MINUTE_MS


class Address(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Where to deliver. `country` is ISO 3166-1 alpha-2."""

    line1: str
    city: str
    country: str
    line2: str = ""
    region: str = ""
    postal_code: str = ""


class Place(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="place"):
    """Make the order from a frozen cart, by the placement process (`SYSTEM`), exactly once.

    The same content again is an accepted no-op; another content is refused with `order_exists`.
    `total_minor` must be the sum of its parts. `payment_method` is `pay_on_delivery` (placed at once) or `prepaid`
    (starts in `pending_payment`). The merchant has `accept_within_ms` from the moment it is placed.
    """

    cart_id: str
    user_id: str
    merchant_id: str
    currency: str
    lines: tuple[Line, ...]
    subtotal_minor: int
    total_minor: int
    delivery_fee_minor: int = 0
    payment_method: str = "pay_on_delivery"
    fulfilment: Fulfilment = Fulfilment.DELIVERY
    address: Address | None = None
    instructions: str = ""
    accept_within_ms: int = 10 * MINUTE_MS


class SetStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="set_status"):
    """Move the order (`order_status.TRANSITIONS`). Being there already is a no-op.

    `from` that is not the current status: `conflict` with `{"current": ...}`. Line ids under
    `out_of_stock_lines` go with a rejection.
    """

    to: str
    from_: str = msgspec.field(default="", name="from")
    reason: str = ""
    out_of_stock_lines: tuple[str, ...] = ()


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancel"):
    """`set_status` to `cancelled`: the owner before acceptance, the merchant with a reason until pick-up."""

    reason: str = ""


class AssignCourier(msgspec.Struct, frozen=True, omit_defaults=True, tag="assign_courier"):
    """Merchant staff names a courier; or a courier claims a ready delivery for themself (empty `courier_id`).

    The first claim wins; the next gets `taken` with `{"by": ...}`.
    """

    courier_id: str = ""


class ReportPosition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="report_position"):
    """The assigned courier's position on the way. Degrees (WGS 84), metres; `at_ms` 0 is now."""

    lat: float
    lon: float
    accuracy_m: float | None = None
    heading: float | None = None
    at_ms: int = 0


class Whose(StrEnum):
    """Whose personal data an order holds."""

    CUSTOMER = "customer"
    """Address, instructions, words about them."""
    COURIER = "courier"
    """Where they were."""


class Erase(msgspec.Struct, frozen=True, omit_defaults=True, tag="erase"):
    """Forget what a closed order says of a person besides their id (rule P1). By `SYSTEM` only; again: a no-op.

    Lines and money stay: they are accounts.
    """

    whose: Whose


Command = Place | SetStatus | Cancel | AssignCourier | ReportPosition | Erase

"""An order's events and the state they add up to."""

from typing import Final

import msgspec

from actors.order_commands import Address, Whose
from actors.order_status import Fulfilment, OrderStatus
from domain.lines import Line
from domain.times import DAY_MS, MINUTE_MS, SECOND_MS

PAY_ON_DELIVERY: Final = "pay_on_delivery"
PREPAID: Final = "prepaid"
PAYMENT_METHODS: Final = frozenset((PAY_ON_DELIVERY, PREPAID))

LINES_MAX: Final = 500
INSTRUCTIONS_LENGTH_MAX: Final = 500
REASON_LENGTH_MAX: Final = 500
ADDRESS_LENGTH_MAX: Final = 200
ACCEPT_WITHIN_MS_MAX: Final = 7 * DAY_MS
PAYMENT_WITHIN_MS: Final = 30 * MINUTE_MS
"""A prepaid order that is not paid by then expires."""
SAMPLE_EVERY_MS: Final = 30 * SECOND_MS
SAMPLE_EVERY_M: Final = 250.0
"""A position is journaled when the last journaled one is this old, or this far away."""
CLOCK_AHEAD_MS_MAX: Final = 60 * SECOND_MS
"""A device's time further ahead than this is replaced by the host's."""

DEADLINE_REASON: Final = "acceptance_deadline"


class Placed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="placed"):
    order_id: str
    cart_id: str
    user_id: str
    merchant_id: str
    currency: str
    lines: tuple[Line, ...]
    subtotal_minor: int
    total_minor: int
    delivery_fee_minor: int = 0
    payment_method: str = PAY_ON_DELIVERY
    fulfilment: Fulfilment = Fulfilment.DELIVERY
    address: Address | None = None
    instructions: str = ""
    accept_within_ms: int


class StatusChanged(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="status_changed"):
    to: OrderStatus
    from_: OrderStatus = msgspec.field(name="from")
    reason: str = ""
    out_of_stock_lines: tuple[str, ...] = ()


class CourierAssigned(msgspec.Struct, frozen=True, omit_defaults=True, tag="courier_assigned"):
    courier_id: str
    instead_of: str = ""


class PositionSampled(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="position_sampled"):
    lat: float
    lon: float
    at_ms: int
    accuracy_m: float | None = None
    heading: float | None = None


class Erased(msgspec.Struct, frozen=True, tag="erased"):
    """What the order said of this person besides their id is gone, here and in the journal."""

    whose: Whose


Event = Placed | StatusChanged | CourierAssigned | PositionSampled | Erased


class Stamp(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """When, by whom and on which device a status was entered."""

    status: OrderStatus
    at_ms: int
    by: str
    device: str = ""


class OrderState(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`placed` is the order as it was placed, frozen for ever (M3).

    `accept_by_ms` is 0 until the merchant's time runs. `updated_at_ms`: the last change of status or courier.
    """

    placed: Placed
    status: OrderStatus
    timeline: tuple[Stamp, ...]
    updated_at_ms: int
    accept_by_ms: int = 0
    courier_id: str = ""
    reason: str = ""
    out_of_stock_lines: tuple[str, ...] = ()
    position: PositionSampled | None = None

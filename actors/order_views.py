"""What people see of an order. No nulls; lines and timeline are maps, so that a change is a small merge patch."""

from typing import Any

import msgspec

from actors.cart_views import LineView, line_view
from actors.order_commands import Address
from actors.order_state import OrderState, PositionSampled
from actors.order_status import TERMINAL, Fulfilment, OrderStatus
from domain.money import Money
from domain.times import to_rfc3339

POSITION_SIGNAL = "position"


class StampView(msgspec.Struct, gc=False, omit_defaults=True):
    """`by` is a user id or `system`."""

    at: str
    by: str
    device: str = ""


class PositionView(msgspec.Struct, gc=False, omit_defaults=True):
    """Degrees (WGS 84), metres, degrees clockwise from north."""

    lat: float
    lon: float
    at: str
    accuracy_m: float | msgspec.UnsetType = msgspec.UNSET
    heading: float | msgspec.UnsetType = msgspec.UNSET


class OrderView(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`timeline` is by status. `accept_by` is there while the merchant's time runs."""

    id: str
    status: OrderStatus
    closed: bool
    user_id: str
    merchant_id: str
    cart_id: str
    currency: str
    version: int
    fulfilment: Fulfilment
    payment_method: str
    lines: dict[str, LineView]
    lines_count: int
    items_count: int
    subtotal: Money
    delivery_fee: Money
    total: Money
    timeline: dict[str, StampView]
    placed_at: str
    updated_at: str
    address: Address | msgspec.UnsetType = msgspec.UNSET
    instructions: str = ""
    courier_id: str = ""
    position: PositionView | msgspec.UnsetType = msgspec.UNSET
    accept_by: str = ""
    reason: str = ""
    out_of_stock_lines: tuple[str, ...] = ()


def order_view(state: OrderState, signals: dict[str, Any], version: int) -> OrderView:
    placed = state.placed
    currency = placed.currency
    return OrderView(
        id=placed.order_id,
        status=state.status,
        closed=state.status in TERMINAL,
        user_id=placed.user_id,
        merchant_id=placed.merchant_id,
        cart_id=placed.cart_id,
        currency=currency,
        version=version,
        fulfilment=placed.fulfilment,
        payment_method=placed.payment_method,
        lines={line.line_id: line_view(line, currency) for line in placed.lines},
        lines_count=len(placed.lines),
        items_count=sum(line.quantity for line in placed.lines),
        subtotal=Money(placed.subtotal_minor, currency),
        delivery_fee=Money(placed.delivery_fee_minor, currency),
        total=Money(placed.total_minor, currency),
        timeline={s.status.value: StampView(to_rfc3339(s.at_ms), s.by, s.device) for s in state.timeline},
        placed_at=to_rfc3339(state.timeline[0].at_ms),
        updated_at=to_rfc3339(state.updated_at_ms),
        address=msgspec.UNSET if placed.address is None else placed.address,
        instructions=placed.instructions,
        courier_id=state.courier_id,
        position=_position(state, signals),
        accept_by=to_rfc3339(state.accept_by_ms) if state.status is OrderStatus.PLACED else "",
        reason=state.reason,
        out_of_stock_lines=state.out_of_stock_lines,
    )


def position_view(sample: PositionSampled) -> PositionView:
    return PositionView(
        sample.lat,
        sample.lon,
        to_rfc3339(sample.at_ms),
        msgspec.UNSET if sample.accuracy_m is None else sample.accuracy_m,
        msgspec.UNSET if sample.heading is None else sample.heading,
    )


def _position(state: OrderState, signals: dict[str, Any]) -> PositionView | msgspec.UnsetType:
    """The newer of the last signal (lost with its host) and the last journaled sample."""
    if state.position is None:
        return msgspec.UNSET
    sampled = position_view(state.position)
    live = signals.get(POSITION_SIGNAL)
    if live is None or live["at"] <= sampled.at:
        return sampled
    return PositionView(**live)

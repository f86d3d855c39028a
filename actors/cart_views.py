"""What people see of a cart. No nulls; lines are a map by id, so that a change is a small merge patch."""

import msgspec

from actors.cart_state import ABANDON_AFTER_MS, CartLine, CartState, CartStatus, prices_expire_at
from domain.lines import Line, line_total, unit_total
from domain.money import Money
from domain.times import to_rfc3339


class OptionView(msgspec.Struct, gc=False):
    id: str
    name: str
    price: Money


class LineView(msgspec.Struct, gc=False, omit_defaults=True):
    """`unit_price` is one unit without its options, `total` the whole line with them."""

    line_id: str
    product_id: str
    name: str
    unit_price: Money
    quantity: int
    total: Money
    options: tuple[OptionView, ...] = ()
    instructions: str = ""
    unavailable: bool = False


class NoticeView(msgspec.Struct, gc=False, omit_defaults=True):
    """`code` is `repriced` (with both unit prices, options included) or `unavailable`."""

    code: str
    line_id: str
    old_unit_price: Money | msgspec.UnsetType = msgspec.UNSET
    new_unit_price: Money | msgspec.UnsetType = msgspec.UNSET


class CartView(msgspec.Struct, gc=False, omit_defaults=True):
    """Times are RFC 3339. `prices_expire_at` is left out of an empty cart, `expires_at` unless it is open."""

    id: str
    status: CartStatus
    owner: str
    currency: str
    version: int
    lines: dict[str, LineView]
    lines_count: int
    items_count: int
    subtotal: Money
    total: Money
    notices: dict[str, NoticeView]
    created_at: str
    updated_at: str
    merchant_id: str = ""
    prices_expire_at: str = ""
    expires_at: str = ""
    order_id: str = ""
    merged_into: str = ""


def line_view(line: Line, currency: str, unavailable: bool = False) -> LineView:
    options = line.options
    return LineView(
        line.line_id,
        line.product_id,
        line.name,
        Money(line.unit_price_minor, currency),
        line.quantity,
        Money(line_total(line), currency),
        tuple([OptionView(o.id, o.name, Money(o.price_minor, currency)) for o in options]) if options else (),
        line.instructions,
        unavailable,
    )


def cart_view(state: CartState, version: int) -> CartView:
    currency = state.currency
    lines: dict[str, LineView] = {}
    notices: dict[str, NoticeView] = {}
    items = 0
    sum_minor = 0
    for line_id, line in state.lines.items():
        shown = line_view(line, currency, line.unavailable)
        lines[line_id] = shown
        items += line.quantity
        sum_minor += shown.total.amount
        if line.repriced_from_minor >= 0 or line.unavailable:
            _note(notices, line, currency)
    expires = prices_expire_at(state.lines.values())
    is_open = state.status is CartStatus.OPEN
    subtotal = Money(sum_minor, currency)
    return CartView(
        state.id,
        state.status,
        state.owner,
        currency,
        version,
        lines,
        len(lines),
        items,
        subtotal,
        subtotal,
        notices,
        to_rfc3339(state.created_at_ms),
        to_rfc3339(state.active_at_ms),
        state.merchant_id,
        to_rfc3339(expires) if expires else "",
        to_rfc3339(state.active_at_ms + ABANDON_AFTER_MS) if is_open else "",
        state.order_id,
        state.merged_into,
    )


def _note(notices: dict[str, NoticeView], line: CartLine, currency: str) -> None:
    if line.repriced_from_minor >= 0:
        old, new = Money(line.repriced_from_minor, currency), Money(unit_total(line), currency)
        notices[f"repriced:{line.line_id}"] = NoticeView("repriced", line.line_id, old, new)
    if line.unavailable:
        notices[f"unavailable:{line.line_id}"] = NoticeView("unavailable", line.line_id)

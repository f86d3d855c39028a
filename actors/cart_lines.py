"""What may happen to a cart's lines: each function takes state and command and gives events, or refuses.

Lines are numbered `"1"`, `"2"` … within their cart and a number is never used again, so a late command for a
line that is gone cannot hit another one.
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol

import msgspec

from actors.cart_commands import AddLine, Merge, MergeLine, Reprice, SetMerchant, SetQuantity, UpdateLine
from actors.cart_state import (
    INSTRUCTIONS_LENGTH_MAX,
    LINES_MAX,
    NAME_LENGTH_MAX,
    OPTIONS_MAX,
    PRICE_TTL_MS,
    AvailabilityChanged,
    CartLine,
    CartState,
    Cleared,
    LineAdded,
    LineRemoved,
    LineRepriced,
    LineUpdated,
    MerchantChanged,
    Merged,
    QuantityChanged,
    quantity_limit,
)
from actors.runtime.entity import NOTHING, Context, Decision
from domain.errors import Conflict, FieldError, Invalid, NotFound, invalid_field
from domain.lines import Option, same_choice, unit_total
from domain.money import check_currency, check_price
from domain.text import check_id, check_text

LINES_LIMIT: Final = "cart_lines_max"
QUANTITY_LIMIT: Final = "line_quantity_max"


class _Choice(Protocol):
    """What an added and a merged line have in common."""

    @property
    def product_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def unit_price_minor(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def options(self) -> tuple[Option, ...]: ...
    @property
    def instructions(self) -> str: ...
    @property
    def max_quantity(self) -> int: ...


def add_line(state: CartState, command: AddLine, ctx: Context) -> Decision:
    _check_choice(command, "")
    _check_currency(state, command.currency)
    events = _merchant_events(state, check_id(command.merchant_id, "merchant_id"), replace=False)
    line = _find(state.lines.values(), command)
    if line is None:
        if len(state.lines) >= LINES_MAX:
            raise _too_many_lines()
        line_id = str(state.next_line)
        return Decision((*events, _added(line_id, command)), {"line_id": line_id})
    quantity = line.quantity + command.quantity
    limit = quantity_limit(command.max_quantity)
    if quantity > limit:
        raise _too_many_units(line.line_id, line.quantity, limit)
    if line.unavailable:
        events.append(AvailabilityChanged(line.line_id, available=True))
    if ctx.now_ms >= line.priced_at_ms + PRICE_TTL_MS:
        events.append(_repriced(line, command.unit_price_minor, command.options))
    most = -1 if command.max_quantity == line.max_quantity else command.max_quantity
    events.append(QuantityChanged(line.line_id, quantity, line.quantity, max_quantity=most))
    return Decision(tuple(events), {"line_id": line.line_id})


def set_quantity(state: CartState, command: SetQuantity, _ctx: Context) -> Decision:
    line = _line(state, command.line_id)
    _check_quantity(command.quantity, "quantity")
    limit = quantity_limit(line.max_quantity)
    if command.quantity > limit:
        raise _too_many_units(line.line_id, line.quantity, limit)
    if command.quantity == line.quantity:
        return NOTHING
    stale = 0 <= command.base_version < line.changed_version
    return Decision((QuantityChanged(line.line_id, command.quantity, line.quantity, stale),))


def update_line(state: CartState, command: UpdateLine, _ctx: Context) -> Decision:
    line = _line(state, command.line_id)
    options = line.options if command.options is None else _check_options(command.options, "options")
    instructions = line.instructions
    if command.instructions is not None:
        instructions = check_text(command.instructions, "instructions", length_max=INSTRUCTIONS_LENGTH_MAX)
    quantity = line.quantity
    if command.quantity is not None:
        quantity = _check_quantity(command.quantity, "quantity")
    limit = quantity_limit(line.max_quantity)
    reply = {"line_id": line.line_id}
    others = (other for other in state.lines.values() if other is not line)
    twin = next((o for o in others if same_choice(o, line.product_id, options, instructions)), None)
    if twin is not None:
        joined = twin.quantity + quantity
        limit = min(limit, quantity_limit(twin.max_quantity))  # the two may know it from different times
        if joined > limit:
            raise _too_many_units(twin.line_id, twin.quantity, limit)
        events = (LineRemoved(line.line_id), QuantityChanged(twin.line_id, joined, twin.quantity))
        return Decision(events, {"line_id": twin.line_id})
    if quantity > limit:
        raise _too_many_units(line.line_id, line.quantity, limit)
    if (quantity, options, instructions) == (line.quantity, line.options, line.instructions):
        return Decision(reply=reply)
    return Decision((LineUpdated(line.line_id, quantity, options, instructions),), reply)


def remove_line(state: CartState, line_id: str) -> Decision:
    """A line that is gone already: an accepted no-op. One that never was: `NotFound`."""
    if line_id in state.lines:
        return Decision((LineRemoved(line_id),))
    if len(line_id) < 10 and line_id.isascii() and line_id.isdigit() and 0 < int(line_id) < state.next_line:
        return NOTHING
    raise _no_line()


def clear(state: CartState) -> Decision:
    return Decision((Cleared(),)) if state.lines else NOTHING


def set_merchant(state: CartState, command: SetMerchant, _ctx: Context) -> Decision:
    merchant_id = check_id(command.merchant_id, "merchant_id")
    return Decision(tuple(_merchant_events(state, merchant_id, replace=command.replace)))


def merge(state: CartState, command: Merge, ctx: Context) -> Decision:
    """Quantities of the other cart replace those of the same lines; its other lines are appended."""
    if check_id(command.source_id, "source_id") == state.id:
        raise invalid_field("source_id", "same_cart", "A cart cannot be merged into itself.")
    _check_currency(state, command.currency)
    events = _merchant_events(state, check_id(command.merchant_id, "merchant_id"), replace=command.replace)
    kept: Iterable[CartLine] = () if events and state.lines else state.lines.values()
    held = {line.line_id: line for line in kept}
    events.append(Merged(command.source_id))
    fresh: list[MergeLine] = []
    seen = set()
    for at, choice in enumerate(command.lines):
        _check_choice(choice, f"lines.{at}.")
        seen.add((choice.product_id, frozenset(o.id for o in choice.options), choice.instructions))
        if len(seen) <= at:
            raise invalid_field(f"lines.{at}", "duplicate", "Each choice at most once.")
        line = _find(held.values(), choice)
        if line is not None:
            limit = quantity_limit(line.max_quantity)
            if choice.quantity > limit:
                raise _too_many_units(line.line_id, line.quantity, limit)
            if line.quantity != choice.quantity:
                events.append(QuantityChanged(line.line_id, choice.quantity, line.quantity))
        else:
            fresh.append(choice)
    if len(held) + len(fresh) > LINES_MAX:
        raise _too_many_lines()
    for number, choice in enumerate(fresh, state.next_line):
        priced_at_ms = min(choice.priced_at_ms, ctx.now_ms)
        events.append(msgspec.structs.replace(_added(str(number), choice), priced_at_ms=priced_at_ms))
    return Decision(tuple(events))


def reprice(state: CartState, command: Reprice, ctx: Context) -> Decision:
    events: list[Any] = []
    for at, price in enumerate(command.prices):
        line = state.lines.get(price.line_id)
        if line is None:
            continue  # removed since the edge looked
        check_price(price.unit_price_minor, f"prices.{at}.unit_price_minor")
        options = line.options
        if price.options is not None:
            options = _check_options(price.options, f"prices.{at}.options")
        if price.available == line.unavailable:
            events.append(AvailabilityChanged(line.line_id, price.available))
        if price.available and ctx.now_ms >= line.priced_at_ms + PRICE_TTL_MS:
            events.append(_repriced(line, price.unit_price_minor, options))
    return Decision(tuple(events))


def _merchant_events(state: CartState, merchant_id: str, *, replace: bool) -> list[Any]:
    if merchant_id == state.merchant_id:
        return []
    if state.lines and not replace:
        raise Conflict(
            "The cart holds items of another merchant.",
            code="cart_other_merchant",
            extra={"current": state.status.value, "merchant_id": state.merchant_id},
        )
    return [MerchantChanged(merchant_id)]


def _find(lines: Iterable[CartLine], choice: _Choice) -> CartLine | None:
    product_id = choice.product_id
    for line in lines:
        if line.product_id == product_id and same_choice(line, product_id, choice.options, choice.instructions):
            return line
    return None


def _added(line_id: str, choice: _Choice) -> LineAdded:
    return LineAdded(
        line_id=line_id,
        product_id=choice.product_id,
        name=choice.name,
        unit_price_minor=choice.unit_price_minor,
        quantity=choice.quantity,
        options=choice.options,
        instructions=choice.instructions,
        max_quantity=choice.max_quantity,
    )


def _repriced(line: CartLine, unit_price_minor: int, options: tuple[Option, ...]) -> LineRepriced:
    return LineRepriced(line.line_id, unit_price_minor, unit_total(line), options)


def _line(state: CartState, line_id: str) -> CartLine:
    line = state.lines.get(line_id)
    if line is None:
        raise _no_line()
    return line


def _check_choice(choice: _Choice, path: str) -> None:
    check_id(choice.product_id, f"{path}product_id")
    check_text(choice.name, f"{path}name", length_max=NAME_LENGTH_MAX, required=True)
    check_price(choice.unit_price_minor, f"{path}unit_price_minor")
    _check_quantity(choice.quantity, f"{path}quantity")
    if choice.options:
        _check_options(choice.options, f"{path}options")
    if choice.instructions:
        check_text(choice.instructions, f"{path}instructions", length_max=INSTRUCTIONS_LENGTH_MAX)
    if choice.max_quantity < 0:
        raise invalid_field(f"{path}max_quantity", "out_of_range", "Must not be negative.")
    limit = quantity_limit(choice.max_quantity)
    if choice.quantity > limit:
        raise invalid_field(f"{path}quantity", QUANTITY_LIMIT, f"At most {limit} of this product.")


def _check_quantity(quantity: int, path: str) -> int:
    if quantity < 1:
        raise invalid_field(path, "out_of_range", "Must be at least 1.")
    return quantity


def _check_options(options: tuple[Option, ...], path: str) -> tuple[Option, ...]:
    if len(options) > OPTIONS_MAX:
        raise invalid_field(path, "too_many", f"At most {OPTIONS_MAX} options.")
    for at, option in enumerate(options):
        check_id(option.id, f"{path}.{at}.id")
        check_text(option.name, f"{path}.{at}.name", length_max=NAME_LENGTH_MAX)
        check_price(option.price_minor, f"{path}.{at}.price_minor")
    if len({option.id for option in options}) < len(options):
        raise invalid_field(path, "duplicate", "Each option at most once.")
    return options


def _check_currency(state: CartState, currency: str) -> None:
    if check_currency(currency) != state.currency:
        raise Conflict(
            f"The cart is in {state.currency}.",
            code="cart_other_currency",
            extra={"current": state.status.value, "currency": state.currency},
        )


def _no_line() -> NotFound:
    return NotFound("The cart has no such line.", code="line_not_found")


def _too_many_lines() -> Conflict:
    return Conflict(f"A cart holds at most {LINES_MAX} lines.", code=LINES_LIMIT, extra={"limit": LINES_MAX})


def _too_many_units(line_id: str, held: int, limit: int) -> Invalid:
    return Invalid(
        f"At most {limit} of this product; the line has {held}.",
        errors=[FieldError("quantity", QUANTITY_LIMIT, f"At most {limit}.")],
        extra={"line_id": line_id, "quantity": held, "limit": limit},
    )

"""What an order must be to be placed."""

import msgspec

from actors.order_commands import Address, Place
from actors.order_state import (
    ACCEPT_WITHIN_MS_MAX,
    ADDRESS_LENGTH_MAX,
    INSTRUCTIONS_LENGTH_MAX,
    LINES_MAX,
    PAYMENT_METHODS,
    Placed,
)
from actors.order_status import Fulfilment
from domain.errors import invalid_field
from domain.lines import subtotal
from domain.money import check_currency, check_price
from domain.text import check_id, check_text


def check_placement(command: Place, order_id: str) -> Placed:
    """The event that places it, or `Invalid` with the field's path."""
    check_id(command.cart_id, "cart_id")
    check_id(command.user_id, "user_id")
    check_id(command.merchant_id, "merchant_id")
    check_currency(command.currency)
    _check_lines(command)
    _check_totals(command)
    if command.payment_method not in PAYMENT_METHODS:
        raise invalid_field("payment_method", "unknown_method", "Not a payment method.")
    if not 0 < command.accept_within_ms <= ACCEPT_WITHIN_MS_MAX:
        raise invalid_field("accept_within_ms", "out_of_range", f"From 1 to {ACCEPT_WITHIN_MS_MAX} ms.")
    check_text(command.instructions, "instructions", length_max=INSTRUCTIONS_LENGTH_MAX)
    if command.address is not None:
        _check_address(command.address)
    elif command.fulfilment is Fulfilment.DELIVERY:
        raise invalid_field("address", "required", "A delivery needs an address.")
    return Placed(
        order_id=order_id,
        cart_id=command.cart_id,
        user_id=command.user_id,
        merchant_id=command.merchant_id,
        currency=command.currency,
        lines=command.lines,
        subtotal_minor=command.subtotal_minor,
        total_minor=command.total_minor,
        delivery_fee_minor=command.delivery_fee_minor,
        payment_method=command.payment_method,
        fulfilment=command.fulfilment,
        address=command.address,
        instructions=command.instructions,
        accept_within_ms=command.accept_within_ms,
    )


def same_placement(one: Placed, other: Placed) -> bool:
    """Whether both are the same order; how long the merchant has to accept it does not count."""
    return one == msgspec.structs.replace(other, accept_within_ms=one.accept_within_ms)


def _check_lines(command: Place) -> None:
    if not command.lines:
        raise invalid_field("lines", "required", "An order has at least one line.")
    if len(command.lines) > LINES_MAX:
        raise invalid_field("lines", "too_many", f"At most {LINES_MAX} lines.")
    if len({line.line_id for line in command.lines}) < len(command.lines):
        raise invalid_field("lines", "duplicate", "Each line once.")
    for at, line in enumerate(command.lines):
        check_id(line.line_id, f"lines.{at}.line_id")
        check_id(line.product_id, f"lines.{at}.product_id")
        check_price(line.unit_price_minor, f"lines.{at}.unit_price_minor")
        if line.quantity < 1:
            raise invalid_field(f"lines.{at}.quantity", "out_of_range", "Must be at least 1.")


def _check_totals(command: Place) -> None:
    check_price(command.delivery_fee_minor, "delivery_fee_minor")
    if command.subtotal_minor != subtotal(command.lines):
        raise invalid_field("subtotal_minor", "wrong_sum", "Must be the sum of the lines.")
    if command.total_minor != command.subtotal_minor + command.delivery_fee_minor:
        raise invalid_field("total_minor", "wrong_sum", "Must be the sum of its parts.")


def _check_address(address: Address) -> None:
    for name in Address.__struct_fields__:
        required = name in {"line1", "city", "country"}
        text = getattr(address, name)
        check_text(text, f"address.{name}", length_max=ADDRESS_LENGTH_MAX, required=required)
    country = address.country
    if not (len(country) == 2 and country.isascii() and country.isalpha() and country.isupper()):
        raise invalid_field("address.country", "unknown_country", "Must be an ISO 3166-1 alpha-2 code.")

"""Lines of what is being bought: frozen values that a cart holds and an order keeps for ever (M3)."""

from collections.abc import Iterable

import msgspec


class Option(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A chosen option of a product (size, extra cheese); its price is added to each unit."""

    id: str
    name: str
    price_minor: int = 0


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One line. Prices are minor units of the cart's or the order's currency."""

    line_id: str
    product_id: str
    name: str
    unit_price_minor: int
    quantity: int
    options: tuple[Option, ...] = ()
    instructions: str = ""


def unit_total(line: Line) -> int:
    """What one unit costs with its options."""
    price = line.unit_price_minor
    for option in line.options:
        price += option.price_minor
    return price


def line_total(line: Line) -> int:
    return unit_total(line) * line.quantity if line.options else line.unit_price_minor * line.quantity


def subtotal(lines: Iterable[Line]) -> int:
    """Sum of the lines, minor units."""
    return sum(map(line_total, lines))


def same_choice(line: Line, product_id: str, options: tuple[Option, ...], instructions: str) -> bool:
    """Whether a line is for this very choice: product, set of options and instructions (prices apart)."""
    if line.product_id != product_id or line.instructions != instructions:
        return False
    if not line.options and not options:
        return True
    return {o.id for o in line.options} == {o.id for o in options}

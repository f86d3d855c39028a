"""Carts, and the lines that carts and orders have."""

import strawberry

from actors.cart_state import CartStatus as CartStatusKind
from actors.cart_views import CartView, LineView, NoticeView, OptionView
from serve.graphql.connections import FIRST, connection, first_of
from serve.graphql.context import Info, computed, known_id
from serve.graphql.derive import Shown, enumerated, shape, shows
from serve.graphql.links import read_cart, to_cart, to_merchant, to_order, to_product
from serve.platform.pages import place_of
from services.listings import CartEntry as CartRow
from services.listings import Place

CartStatus = enumerated(CartStatusKind)
_ALIVE = (CartStatusKind.OPEN.value, CartStatusKind.CHECKING_OUT.value)


def lines_of(root: Shown) -> list[Shown]:
    """The values of the map."""
    return list(root["lines"].values())


def _notices(root: Shown) -> list[Shown]:
    return list(root["notices"].values())


@shows(OptionView)
class LineOption:
    """A chosen option; its price is added to each unit."""


@shows(LineView, LineOption)
class Line:
    """A line of a cart or an order. `unitPrice` is one unit without options, `total` the line with them."""

    product = to_product()


@shows(NoticeView)
class CartNotice:
    """`repriced`, with both unit prices (options included), or `unavailable`."""


@shows(CartView)
class Cart:
    """What somebody is choosing."""

    lines = computed(lines_of, list[Line])
    notices = computed(_notices, list[CartNotice])
    merchant = to_merchant()
    order = to_order()


@shows(CartRow)
class CartEntry:
    """A cart as it is listed."""

    merchant = to_merchant()
    cart = to_cart("id")


async def cart(info: Info, id: strawberry.ID) -> Shown:
    """One of your carts. Prices older than their time are renewed first, with a notice where they changed."""
    return await info.context.load(read_cart, known_id(id))


async def carts(
    info: Info,
    status: CartStatus | None = None,  # type: ignore[valid-type]
    first: int = FIRST,
    after: str | None = None,
) -> Shown:
    """Your carts, newest first; without a status those that are open or being checked out."""
    context, limit = info.context, first_of(info, first)
    statuses = _ALIVE if status is None else (str(status),)
    rows = await context.runtime.listings.carts(context.actor.subject, statuses, place_of(after), limit + 1)
    shown = rows[:limit]
    places = [Place(row.created_at_ms, row.id) for row in shown]
    return connection([shape(row) for row in shown], places, more=len(rows) > limit)

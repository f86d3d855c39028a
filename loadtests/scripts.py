"""What the loads send: the same work for Atrium and for its peers."""

from collections.abc import Sequence
from typing import Final

from loadtests.ground import Catalog
from loadtests.http_load import Call
from loadtests.wire import Op

CLEAR_EVERY: Final = 64
"""One request in so many empties the cart, so that it stays as small as people's carts are."""


def adding(prefix: str, cart_id: str, catalog: Catalog, *, clearing: bool = True) -> list[Call]:
    """Add one of each product in turn; with `clearing` every 64th request clears the cart."""
    items = catalog.items
    script = [
        Call("POST", f"{prefix}/carts/{cart_id}/items", {"product_id": items[n % len(items)].id, "quantity": 1})
        for n in range(CLEAR_EVERY - 1)
    ]
    if clearing:
        script.append(Call("POST", f"{prefix}/carts/{cart_id}/clear"))
    return script


def adding_by_socket(cart_id: str, catalog: Catalog) -> list[Op]:
    """The same over atrium.v1."""
    items, entity = catalog.items, f"cart/{cart_id}"
    adds = [
        Op(entity, "add_line", {"product_id": items[n % len(items)].id, "quantity": 1}) for n in range(CLEAR_EVERY - 1)
    ]
    return [*adds, Op(entity, "clear", {})]


def adding_to_each(
    prefix: str, cart_ids: Sequence[str], catalog: Catalog, *, clearing: bool = True
) -> list[list[Call]]:
    """One script per cart; workers take them in turn."""
    return [adding(prefix, cart_id, catalog, clearing=clearing) for cart_id in cart_ids]

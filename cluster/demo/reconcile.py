"""Three independent counts of what was bought, each against the file, and so against each other.

    acknowledged   what clients were told over HTTP
    api            what the REST lists show and reading each order returns
    journal        what the journal's rows say, read by SQL

A basket is *lost* where it was acknowledged and a count has no order of it, *duplicated* where a count has more
than one order of it, *wrong* where items, quantities or the total differ from the file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from cluster.demo.baskets import Basket
from cluster.demo.ledger import Ledger

EXAMPLES_MAX: Final = 20


class Found(msgspec.Struct, frozen=True):
    """One order as one of the counts has it. `items` are quantities by item name."""

    order_id: str
    cart_id: str
    items: dict[str, int]
    total_minor: int
    status: str = ""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """One count against the file. `not_ours` are orders that belong to no basket."""

    name: str
    orders: int
    items: int
    total_minor: int
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    not_ours: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong or self.not_ours)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`expected` is the file's own count; `problems` are sentences, at most `EXAMPLES_MAX`."""

    expected: Count
    counts: tuple[Count, ...]
    unfinished: int
    undelivered: int
    problems: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Baskets that the worst count lacks, and deliveries that were acknowledged and are not there."""
        return max(count.lost for count in self.counts) + self.undelivered

    @property
    def duplicated(self) -> int:
        return max(count.duplicated + count.not_ours for count in self.counts)

    @property
    def clean(self) -> bool:
        return not self.unfinished and not self.undelivered and all(count.clean for count in self.counts)


def reconcile(
    baskets: Sequence[Basket], ledger: Ledger, api: Iterable[Found], journal: Iterable[Found], unfinished: int = 0
) -> Verdict:
    """Compare. `unfinished` is the number of requests that never got an answer."""
    problems: list[str] = []
    expected = Count(
        name="file",
        orders=len(baskets),
        items=sum(len(basket.items) for basket in baskets),
        total_minor=sum(basket.total_minor for basket in baskets),
    )
    told = [
        Found(bought.order_id, bought.cart_id, dict(bought.lines), bought.total_minor)
        for bought in ledger.bought.values()
        if bought.order_id
    ]
    api = list(api)
    carts = {bought.cart_id: number for number, bought in ledger.bought.items() if bought.cart_id}
    by_number = {basket.number: basket for basket in baskets}
    counts = tuple(
        _count(name, by_number, carts, orders, problems)
        for name, orders in (("acknowledged", told), ("api", api), ("journal", journal))
    )
    statuses = {order.order_id: order.status for order in api}
    undelivered = [order_id for order_id in ledger.delivered if statuses.get(order_id) != "delivered"]
    problems += [f"api: order {order_id} was delivered and is not any more" for order_id in undelivered]
    return Verdict(
        expected=expected,
        counts=counts,
        unfinished=unfinished,
        undelivered=len(undelivered),
        problems=tuple(problems[:EXAMPLES_MAX]),
    )


def _count(
    name: str,
    baskets: Mapping[int, Basket],
    carts: Mapping[str, int],
    orders: Iterable[Found],
    problems: list[str],
) -> Count:
    found: dict[int, list[Found]] = {}
    strangers = 0
    total = items = 0
    for order in orders:
        total += order.total_minor
        items += sum(order.items.values())
        number = carts.get(order.cart_id)
        if number is None:
            strangers += 1
            problems.append(f"{name}: order {order.order_id} is of no basket's cart")
        else:
            found.setdefault(number, []).append(order)
    lost = duplicated = wrong = 0
    for number, basket in baskets.items():
        mine = found.get(number, [])
        if not mine:
            lost += 1
            problems.append(f"{name}: basket {_title(basket)} has no order")
        elif len({order.order_id for order in mine}) > 1 or len(mine) > 1:
            duplicated += 1
            problems.append(f"{name}: basket {_title(basket)} has {len(mine)} orders")
        else:
            reason = _difference(basket, mine[0])
            if reason:
                wrong += 1
                problems.append(f"{name}: basket {_title(basket)}: {reason}")
    return Count(
        name=name,
        orders=sum(len(mine) for mine in found.values()) + strangers,
        items=items,
        total_minor=total,
        lost=lost,
        duplicated=duplicated,
        wrong=wrong,
        not_ours=strangers,
    )


def _difference(basket: Basket, order: Found) -> str:
    """What is wrong with a basket's order, as half a sentence; empty if nothing is."""
    wanted, got = basket.wanted, Counter(order.items)
    differing = sorted(item for item in {*wanted, *got} if wanted[item] != got[item])
    if differing:
        return ", ".join(f"{item}: {got[item]} instead of {wanted[item]}" for item in differing[:3])
    if order.total_minor != basket.total_minor:
        return f"total {order.total_minor} instead of {basket.total_minor}"
    return ""


def _title(basket: Basket) -> str:
    return f"{basket.number} ({basket.member} on {basket.day})"

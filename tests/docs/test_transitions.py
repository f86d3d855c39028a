"""The order's diagram and table are those of `actors/order_status.py`."""

import re

from actors.cart_state import CartStatus
from actors.order_status import TRANSITIONS, Fulfilment, OrderStatus
from tests.docs.pages import blocks, section

PAGE = "docs/carts-and-orders.md"
_ARROW = re.compile(r"^ +(\w+) --> (\w+)", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_the_diagram_of_the_order_has_exactly_the_transitions_of_the_table() -> None:
    (diagram,) = blocks(section(PAGE, "## The order"), "mermaid")
    assert set(_ARROW.findall(diagram)) == {(before.value, after.value) for before, after in TRANSITIONS}


def test_the_table_of_the_order_says_who_may_and_for_what() -> None:
    documented = {
        (before, after): (set(who.split(", ")), set(kinds.split(", ")))
        for before, after, who, kinds in _ROW.findall(section(PAGE, "## The order"))
    }
    expected = {}
    for (before, after), step in TRANSITIONS.items():
        who = {party.value + ("*" if party in step.reason else "") for party in step.parties}
        all_kinds = step.fulfilments == frozenset(Fulfilment)
        kinds = {"all"} if all_kinds else {kind.value for kind in step.fulfilments}
        expected[before.value, after.value] = (who, kinds)
    assert documented == expected


def test_every_status_is_in_its_diagram() -> None:
    (order,) = blocks(section(PAGE, "## The order"), "mermaid")
    (cart,) = blocks(section(PAGE, "## The cart"), "mermaid")
    for diagram, statuses in ((order, OrderStatus), (cart, CartStatus)):
        assert {status.value for status in statuses} <= set(re.findall(r"\w+", diagram))

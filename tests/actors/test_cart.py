"""The cart's rules, case by case: commands in, events and views out."""

import pytest

from actors.cart import CartKind
from actors.cart_commands import (
    AddLine,
    Clear,
    Create,
    Delete,
    MarkMerged,
    Merge,
    MergeLine,
    RemoveLine,
    SetMerchant,
    SetQuantity,
    UpdateLine,
)
from actors.cart_state import LINES_MAX, QUANTITY_MAX, LineAdded, QuantityChanged
from actors.runtime.entity import NOTHING, SYSTEM, Actor
from domain.errors import Conflict, Invalid, NotFound, Rejected
from domain.lines import Option
from tests.actors.desk import Desk

ANNA = Actor("anna", ("customer",))
GUEST = Actor("guest:1", ("customer",))
LARGE = Option("large", "Large", 100)


def add(product="soup", price=400, quantity=1, merchant="m1", **fields):
    return AddLine(
        product_id=product,
        name=product.title(),
        unit_price_minor=price,
        currency=fields.pop("currency", "EUR"),
        merchant_id=merchant,
        quantity=quantity,
        **fields,
    )


def other(product="soup", price=400, quantity=1, **fields):
    return MergeLine(product_id=product, name=product.title(), unit_price_minor=price, quantity=quantity, **fields)


def merge(*lines, source="guest-cart", merchant="m1", **fields):
    return Merge(source_id=source, merchant_id=merchant, currency="EUR", lines=lines, **fields)


@pytest.fixture
def cart():
    desk = Desk(CartKind(), "cart-1")
    desk.do(Create("EUR", "m1"), ANNA)
    return desk


def refused(cart, command, actor=ANNA, error: type[Rejected] = Conflict):
    """The failure of a command that must be refused and change nothing."""
    before = cart.version
    with pytest.raises(error) as caught:
        cart.do(command, actor)
    assert cart.version == before
    return caught.value.failure


def quantities(cart):
    return {line["product_id"]: line["quantity"] for line in cart.view()["lines"].values()}


def test_a_new_cart_is_empty_and_belongs_to_its_sender(cart):
    view = cart.view()
    assert (view["id"], view["owner"], view["status"]) == ("cart-1", "anna", "open")
    assert (view["lines"], view["lines_count"], view["items_count"]) == ({}, 0, 0)
    assert view["total"] == {"amount": 0, "currency": "EUR"}
    assert view["expires_at"] == "2026-01-02T00:00:00.000Z"
    assert "prices_expire_at" not in view


def test_only_the_system_opens_a_cart_for_someone_else():
    desk = Desk(CartKind(), "c")
    desk.do(Create("EUR", owner="anna"), SYSTEM)
    assert desk.view()["owner"] == "anna"
    desk = Desk(CartKind(), "c")
    desk.do(Create("EUR", owner="anna"), GUEST)
    assert desk.view()["owner"] == "guest:1"


def test_creating_a_cart_again_is_a_no_op_for_its_owner_and_a_conflict_for_others(cart):
    assert cart.do(Create("EUR", "m1"), ANNA) == NOTHING
    assert refused(cart, Create("EUR", "m1"), GUEST).code == "cart_exists"
    assert refused(cart, Create("USD", "m1")).code == "cart_exists"


def test_an_unknown_currency_opens_no_cart():
    with pytest.raises(Invalid):
        Desk(CartKind(), "c").do(Create("EURO"), ANNA)


@pytest.mark.parametrize("command", [add(), Clear(), RemoveLine("1"), Delete(), MarkMerged("x"), merge(other())])
def test_a_stranger_does_not_learn_that_a_cart_exists(cart, command):
    stranger = Actor("bob", ("customer", "merchant_staff"), ("m1",))
    known = refused(cart, command, stranger, NotFound)
    unknown = refused(Desk(CartKind(), "none"), command, stranger, NotFound)
    assert known == unknown
    assert not cart.sees(stranger)


def test_owner_system_and_admin_read_a_cart(cart):
    assert cart.sees(ANNA)
    assert cart.sees(SYSTEM)
    assert cart.sees(Actor("root", ("admin",)))
    refused(cart, Clear(), Actor("root", ("admin",)), NotFound)


def test_a_guest_owns_a_cart_like_anyone():
    desk = Desk(CartKind(), "c")
    desk.do(Create("EUR"), GUEST)
    desk.do(add(), GUEST)
    assert desk.view()["merchant_id"] == "m1"


def test_the_same_choice_adds_to_its_line(cart):
    first = cart.do(add(quantity=2, options=(LARGE,), instructions="hot"), ANNA)
    second = cart.do(add(quantity=3, options=(LARGE,), instructions="hot"), ANNA)
    assert first.reply == second.reply == {"line_id": "1"}
    line = cart.view()["lines"]["1"]
    assert (line["quantity"], line["total"]["amount"]) == (5, 2500)
    assert line["options"] == ({"id": "large", "name": "Large", "price": {"amount": 100, "currency": "EUR"}},)


@pytest.mark.parametrize("changed", [{"options": (LARGE,)}, {"instructions": "hot"}, {"product": "tea"}])
def test_another_choice_is_a_line_of_its_own(cart, changed):
    cart.do(add(), ANNA)
    assert cart.do(add(**changed), ANNA).reply == {"line_id": "2"}


def test_a_line_number_is_never_used_again(cart):
    cart.do(add("a"), ANNA)
    cart.do(add("b"), ANNA)
    cart.do(RemoveLine("2"), ANNA)
    assert cart.do(add("c"), ANNA).reply == {"line_id": "3"}
    cart.do(Clear(), ANNA)
    assert cart.do(add("d"), ANNA).reply == {"line_id": "4"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -3}, "quantity"),
        ({"quantity": QUANTITY_MAX + 1}, "quantity"),
        ({"quantity": 4, "max_quantity": 3}, "quantity"),
        ({"price": -1}, "unit_price_minor"),
        ({"currency": "XXX"}, "currency"),
        ({"product": ""}, "product_id"),
        ({"instructions": "x" * 501}, "instructions"),
        ({"instructions": "nul\0"}, "instructions"),
        ({"options": (Option("", "A", 1),)}, "options.0.id"),
        ({"options": (Option("a", "A", -1),)}, "options.0.price_minor"),
        ({"options": (LARGE, LARGE)}, "options"),
        ({"options": tuple(Option(str(n), "A") for n in range(21))}, "options"),
        ({"merchant": ""}, "merchant_id"),
    ],
)
def test_a_bad_field_is_named_by_its_path(cart, fields, path):
    assert [e.path for e in refused(cart, add(**fields), error=Invalid).errors] == [path]


def test_a_line_never_exceeds_what_the_product_allows(cart):
    cart.do(add(quantity=2, max_quantity=3), ANNA)
    failure = refused(cart, add(quantity=2, max_quantity=3), error=Invalid)
    assert failure.errors[0].code == "line_quantity_max"
    assert failure.extra == {"line_id": "1", "quantity": 2, "limit": 3}
    refused(cart, SetQuantity("1", 4), error=Invalid)
    refused(cart, UpdateLine("1", quantity=4), error=Invalid)


def test_what_the_product_allows_follows_the_catalog(cart):
    cart.do(add(quantity=2, max_quantity=3), ANNA)
    cart.do(add(quantity=2, max_quantity=5), ANNA)
    refused(cart, SetQuantity("1", 6), error=Invalid)
    refused(cart, merge(other(quantity=6)), error=Invalid)
    cart.do(add(quantity=2), ANNA)
    cart.do(SetQuantity("1", 7), ANNA)


def test_a_cart_holds_so_many_lines_and_no_more(cart):
    for number in range(LINES_MAX):
        cart.do(add(f"p{number}"), ANNA)
    failure = refused(cart, add("one-more"))
    assert (failure.code, failure.extra) == ("cart_lines_max", {"limit": LINES_MAX})
    cart.do(add("p0"), ANNA)
    assert refused(cart, merge(other("one-more"))).code == "cart_lines_max"


def test_another_currency_is_a_conflict(cart):
    failure = refused(cart, add(currency="USD"))
    assert (failure.code, failure.extra["currency"]) == ("cart_other_currency", "EUR")


def test_the_last_quantity_to_arrive_wins_and_history_keeps_the_loser(cart):
    cart.do(add(), ANNA)
    base = cart.version
    assert cart.do(SetQuantity("1", 5, base), ANNA).events == (QuantityChanged("1", 5, 1),)
    assert cart.do(SetQuantity("1", 7, base), ANNA).events == (QuantityChanged("1", 7, 5, overwrote=True),)


def test_a_change_of_another_line_makes_no_base_version_stale(cart):
    cart.do(add("a"), ANNA)
    base = cart.version
    cart.do(add("b"), ANNA)
    assert cart.do(SetQuantity("1", 2, base), ANNA).events == (QuantityChanged("1", 2, 1),)


def test_the_same_quantity_is_a_no_op(cart):
    cart.do(add(quantity=3), ANNA)
    assert cart.do(SetQuantity("1", 3, 0), ANNA) == NOTHING


@pytest.mark.parametrize("quantity", [0, -1, QUANTITY_MAX + 1])
def test_an_impossible_quantity_is_invalid(cart, quantity):
    cart.do(add(), ANNA)
    refused(cart, SetQuantity("1", quantity), error=Invalid)
    refused(cart, UpdateLine("1", quantity=quantity), error=Invalid)


@pytest.mark.parametrize("line_id", ["9", "0", "", "x", "-1", "²", "1" * 40])
@pytest.mark.parametrize("make", [lambda i: SetQuantity(i, 1), UpdateLine, RemoveLine])
def test_a_line_that_never_was_is_unknown(cart, line_id, make):
    cart.do(add(), ANNA)
    assert refused(cart, make(line_id), error=NotFound).code == "line_not_found"


def test_removing_a_line_twice_is_a_no_op(cart):
    cart.do(add(), ANNA)
    cart.do(RemoveLine("1"), ANNA)
    assert cart.do(RemoveLine("1"), ANNA) == NOTHING
    assert cart.do(Clear(), ANNA) == NOTHING
    assert refused(cart, SetQuantity("1", 2), error=NotFound).code == "line_not_found"


def test_a_line_is_updated_in_the_fields_given(cart):
    cart.do(add(quantity=2, instructions="hot"), ANNA)
    cart.do(UpdateLine("1", options=(LARGE,)), ANNA)
    line = cart.view()["lines"]["1"]
    assert (line["quantity"], line["instructions"], line["total"]["amount"]) == (2, "hot", 1000)
    cart.do(UpdateLine("1", quantity=1, instructions=""), ANNA)
    line = cart.view()["lines"]["1"]
    assert line["total"]["amount"] == 500
    assert "instructions" not in line
    assert cart.do(UpdateLine("1", quantity=1), ANNA).events == ()


def test_a_line_that_becomes_like_another_joins_it(cart):
    cart.do(add(quantity=2), ANNA)
    cart.do(add(quantity=3, options=(LARGE,)), ANNA)
    assert cart.do(UpdateLine("2", options=()), ANNA).reply == {"line_id": "1"}
    assert {k: v["quantity"] for k, v in cart.view()["lines"].items()} == {"1": 5}


def test_joining_lines_respects_the_limit(cart):
    cart.do(add(quantity=2, max_quantity=3), ANNA)
    cart.do(add(quantity=2, max_quantity=3, options=(LARGE,)), ANNA)
    refused(cart, UpdateLine("2", options=()), error=Invalid)


def test_joining_lines_respects_the_limit_that_either_knows(cart):
    cart.do(add(quantity=2, max_quantity=3), ANNA)
    cart.do(add(quantity=2, max_quantity=0, options=(LARGE,)), ANNA)
    refused(cart, UpdateLine("2", options=()), error=Invalid)


def test_lines_of_two_merchants_never_mix(cart):
    cart.do(add(), ANNA)
    for command in (add(merchant="m2"), SetMerchant("m2"), merge(other(), merchant="m2")):
        failure = refused(cart, command)
        assert failure.code == "cart_other_merchant"
        assert failure.extra == {"current": "open", "merchant_id": "m1"}


def test_replacing_the_merchant_empties_the_cart(cart):
    cart.do(add(), ANNA)
    cart.do(SetMerchant("m2", replace=True), ANNA)
    assert (cart.view()["merchant_id"], cart.view()["lines"]) == ("m2", {})
    assert cart.do(SetMerchant("m2"), ANNA) == NOTHING


def test_an_empty_cart_takes_over_the_merchant_of_its_first_line(cart):
    cart.do(add(merchant="m2"), ANNA)
    assert cart.view()["merchant_id"] == "m2"


def test_merging_replaces_quantities_of_the_same_lines_and_appends_the_others(cart):
    cart.do(add("soup", quantity=5), ANNA)
    cart.do(add("tea", quantity=1), ANNA)
    cart.do(merge(other("soup", quantity=2), other("cake", quantity=3)), ANNA)
    assert quantities(cart) == {"soup": 2, "tea": 1, "cake": 3}


def test_merging_again_changes_nothing_that_people_see(cart):
    cart.do(add("soup", quantity=5), ANNA)
    command = merge(other("soup", quantity=2), other("cake", quantity=3))
    cart.do(command, ANNA)
    once = cart.view()["lines"]
    cart.do(command, ANNA)
    assert cart.view()["lines"] == once


def test_merging_may_replace_a_cart_of_another_merchant(cart):
    cart.do(add("soup"), ANNA)
    cart.do(merge(other("soup", quantity=2), merchant="m2", replace=True), ANNA)
    assert quantities(cart) == {"soup": 2}
    assert cart.view()["merchant_id"] == "m2"


def test_a_merged_line_keeps_the_age_of_its_price(cart):
    priced_at = cart.now_ms - 60_000
    added = cart.do(merge(other(priced_at_ms=priced_at)), ANNA).events[-1]
    assert isinstance(added, LineAdded)
    assert added.priced_at_ms == priced_at
    assert cart.view()["prices_expire_at"] == "2026-01-01T00:59:00.000Z"
    future = cart.do(merge(other("tea", priced_at_ms=cart.now_ms + 60_000)), ANNA).events[-1]
    assert future.priced_at_ms == cart.now_ms


def test_what_cannot_be_merged(cart):
    refused(cart, merge(other(), source="cart-1"), error=Invalid)
    refused(cart, merge(other(), other()), error=Invalid)
    assert refused(cart, merge(other(quantity=0)), error=Invalid).errors[0].path == "lines.0.quantity"


def test_the_source_of_a_merge_says_where_it_went():
    guest = Desk(CartKind(), "guest-cart")
    guest.do(Create("EUR", "m1"), GUEST)
    guest.do(MarkMerged("cart-1"), GUEST)
    assert (guest.view()["status"], guest.view()["merged_into"]) == ("merged", "cart-1")
    assert guest.reminders == {}
    assert guest.do(MarkMerged("cart-1"), GUEST) == NOTHING
    for command in (MarkMerged("cart-2"), add(), Delete()):
        failure = refused(guest, command, GUEST)
        assert (failure.code, failure.extra["current"]) == ("cart_closed", "merged")


def test_a_cart_is_not_merged_into_itself(cart):
    assert refused(cart, MarkMerged("cart-1")).code == "same_cart"


def test_a_deleted_cart_looks_unknown(cart):
    cart.do(add(), ANNA)
    cart.do(Delete(), ANNA)
    assert not cart.sees(ANNA)
    assert cart.reminders == {}
    assert cart.do(Delete(), ANNA) == NOTHING
    refused(cart, add(), error=NotFound)
    assert CartKind().index_row(cart.state).columns["status"] == "deleted"


def test_the_index_row_changes_only_with_owner_merchant_or_status(cart):
    kind = CartKind()
    before = kind.index_row(cart.state)
    cart.wait(1000)
    cart.do(add(), ANNA)
    cart.do(SetQuantity("1", 4), ANNA)
    cart.do(Clear(), ANNA)
    assert kind.index_row(cart.state) == before
    cart.do(SetMerchant("m2"), ANNA)
    after = kind.index_row(cart.state)
    assert after.table == "carts"
    assert after.columns == {
        "owner": "anna",
        "merchant_id": "m2",
        "status": "open",
        "created_at": cart.now_ms - 1000,
        "updated_at": cart.now_ms,
    }

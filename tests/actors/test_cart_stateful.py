"""Any sequence of commands: totals are the sum of the lines, replay gives the same cart, limits hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.cart import CartKind
from actors.cart_commands import (
    AddLine,
    BeginCheckout,
    CancelCheckout,
    Clear,
    CompleteCheckout,
    Create,
    DismissNotices,
    MarkMerged,
    Merge,
    MergeLine,
    Price,
    RemoveLine,
    Reprice,
    SetMerchant,
    SetQuantity,
    UpdateLine,
)
from actors.cart_state import ABANDON_AFTER_MS, LINES_MAX, PRICE_TTL_MS, QUANTITY_MAX, CartStatus
from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Rejected
from domain.lines import Option
from tests.actors.desk import Desk

ANNA = Actor("anna", ("customer",))
PRODUCTS = st.sampled_from(["soup", "tea", "cake"])
OPTIONS = st.lists(st.sampled_from("ab"), unique=True, max_size=2).map(
    lambda ids: tuple(Option(i, i.upper(), 10) for i in ids)
)
NOTES = st.sampled_from(["", "hot"])
PRICES = st.integers(0, 1000)
QUANTITIES = st.integers(-1, 8)
MERCHANTS = st.sampled_from(["m1", "m1", "m1", "m2"])
LINE_IDS = st.integers(0, 12).map(str)
WAITS = st.sampled_from([1, 60_000, PRICE_TTL_MS // 2, PRICE_TTL_MS, ABANDON_AFTER_MS // 2, ABANDON_AFTER_MS])
MERGE_LINES = st.lists(
    st.builds(
        MergeLine,
        product_id=PRODUCTS,
        name=st.just("x"),
        unit_price_minor=PRICES,
        quantity=st.integers(1, 8),
        options=OPTIONS,
        instructions=NOTES,
    ),
    max_size=4,
    unique_by=lambda line: (line.product_id, frozenset(o.id for o in line.options), line.instructions),
).map(tuple)


def choices(lines):
    return {(i.product_id, frozenset(o.id for o in i.options), i.instructions): i.quantity for i in lines}


class CartMachine(RuleBasedStateMachine):
    @initialize()
    def create(self):
        self.cart = Desk(CartKind(), "cart-1")
        self.cart.do(Create("EUR"), ANNA)
        self.order_ids = set()

    def attempt(self, command, actor=ANNA):
        """Whether it was accepted; a refusal changes nothing (the desk checks the state)."""
        try:
            self.cart.do(command, actor)
        except Rejected:
            return False
        return True

    @rule(
        product=PRODUCTS,
        price=PRICES,
        quantity=QUANTITIES,
        options=OPTIONS,
        note=NOTES,
        merchant=MERCHANTS,
        most=st.sampled_from([0, 0, 10]),
    )
    def add_line(self, product, price, quantity, options, note, merchant, most):
        before = choices(self.cart.state.lines.values())
        moved = self.cart.state.merchant_id != merchant
        command = AddLine(
            product_id=product,
            name="x",
            unit_price_minor=price,
            currency="EUR",
            merchant_id=merchant,
            quantity=quantity,
            options=options,
            instructions=note,
            max_quantity=most,
        )
        if self.attempt(command):
            key = (product, frozenset(o.id for o in options), note)
            held = 0 if moved else before.get(key, 0)
            assert choices(self.cart.state.lines.values())[key] == held + quantity

    @rule(line_id=LINE_IDS, quantity=QUANTITIES, base=st.integers(-1, 20))
    def set_quantity(self, line_id, quantity, base):
        if self.attempt(SetQuantity(line_id, quantity, base)):
            assert self.cart.state.lines[line_id].quantity == quantity

    @rule(
        line_id=LINE_IDS,
        quantity=st.none() | QUANTITIES,
        options=st.none() | OPTIONS,
        note=st.none() | NOTES,
    )
    def update_line(self, line_id, quantity, options, note):
        self.attempt(UpdateLine(line_id, quantity, options, note))

    @rule(line_id=LINE_IDS)
    def remove_line(self, line_id):
        if self.attempt(RemoveLine(line_id)):
            assert line_id not in self.cart.state.lines

    @rule()
    def clear(self):
        if self.attempt(Clear()):
            assert self.cart.state.lines == {}

    @rule(merchant=MERCHANTS, replace=st.booleans())
    def set_merchant(self, merchant, replace):
        if self.attempt(SetMerchant(merchant, replace)):
            assert self.cart.state.merchant_id == merchant

    @rule(lines=MERGE_LINES, merchant=MERCHANTS, replace=st.booleans())
    def merge(self, lines, merchant, replace):
        before = choices(self.cart.state.lines.values())
        moved = self.cart.state.merchant_id != merchant
        command = Merge(source_id="guest", merchant_id=merchant, currency="EUR", lines=lines, replace=replace)
        if self.attempt(command):
            expected = ({} if moved else before) | choices(lines)
            assert choices(self.cart.state.lines.values()) == expected

    @rule(line_id=LINE_IDS, price=PRICES, available=st.booleans())
    def reprice(self, line_id, price, available):
        line = self.cart.state.lines.get(line_id)
        self.attempt(Reprice((Price(line_id=line_id, unit_price_minor=price, available=available),)), SYSTEM)
        if line is not None and self.cart.now_ms < line.priced_at_ms + PRICE_TTL_MS:
            assert self.cart.state.lines[line_id].unit_price_minor == line.unit_price_minor

    @rule()
    def dismiss_notices(self):
        self.attempt(DismissNotices())

    @rule(order_id=st.sampled_from(["", "order-1"]))
    def begin_checkout(self, order_id):
        try:
            reply = self.cart.do(BeginCheckout(order_id), ANNA).reply
        except Rejected:
            return
        assert reply == {"order_id": self.cart.state.order_id}
        assert self.cart.state.status in {CartStatus.CHECKING_OUT, CartStatus.CONVERTED}

    @rule()
    def cancel_checkout(self):
        self.attempt(CancelCheckout(self.cart.state.order_id or "order-1"), SYSTEM)

    @precondition(lambda self: self.cart.version > 12)
    @rule()
    def complete_checkout(self):
        self.attempt(CompleteCheckout(self.cart.state.order_id or "order-1"), SYSTEM)

    @precondition(lambda self: self.cart.version > 20)
    @rule()
    def mark_merged(self):
        self.attempt(MarkMerged("cart-2"))

    @rule(ms=WAITS)
    def wait(self, ms):
        self.cart.wait(ms)

    @invariant()
    def totals_are_the_sum_of_the_lines(self):
        view = self.cart.view()
        lines = view["lines"].values()
        for line in lines:
            options = sum(o["price"]["amount"] for o in line.get("options", ()))
            assert line["total"]["amount"] == line["quantity"] * (line["unit_price"]["amount"] + options)
        assert view["total"] == view["subtotal"]
        assert view["total"]["amount"] == sum(line["total"]["amount"] for line in lines)
        assert view["items_count"] == sum(line["quantity"] for line in lines)
        assert view["lines_count"] == len(lines)

    @invariant()
    def replay_and_snapshot_give_the_same_cart(self):
        assert self.cart.replayed() == self.cart.state
        assert self.cart.restored() == self.cart.state

    @invariant()
    def limits_hold_and_each_choice_has_one_line(self):
        lines = self.cart.state.lines
        assert len(lines) <= LINES_MAX
        assert all(1 <= line.quantity <= (line.max_quantity or QUANTITY_MAX) for line in lines.values())
        assert len(choices(lines.values())) == len(lines)
        assert all(line_id == line.line_id for line_id, line in lines.items())
        assert all(int(line_id) < self.cart.state.next_line for line_id in lines)

    @invariant()
    def an_open_cart_has_its_timer_and_a_closed_one_has_none(self):
        armed = "abandon" in self.cart.reminders
        assert armed == (self.cart.state.status in {CartStatus.OPEN, CartStatus.CHECKING_OUT})


CartMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCart = CartMachine.TestCase

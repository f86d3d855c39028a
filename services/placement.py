"""From a cart to an order, exactly once, however often and by whomever it is carried on.

    begin_checkout   the cart freezes its lines and the terms, and names the order   (the customer)
    place            the order comes to be, from what the cart froze                  (SYSTEM)
    complete         the cart is closed                                               (SYSTEM)

Every step's command id is derived from the cart and the order, and its content from the journaled first step,
so the edge, a second device and the reaction to the first step can all run the rest, at once or after a crash.
A refusal of `place` opens the cart again; nothing else does.
"""

import msgspec
import structlog

from actors.cart_commands import BeginCheckout, CancelCheckout, CompleteCheckout, Terms
from actors.cart_state import CheckoutBegan, CheckoutCancelled
from actors.order_commands import Address, Place
from actors.order_status import Fulfilment
from actors.runtime.entity import SYSTEM
from actors.runtime.wire import VIEW_JSON
from domain.errors import AtriumError, Conflict, Invalid, NotFound, PreconditionFailed, Rejected, Temporary
from domain.ids import derived_command_id, derived_id, new_id
from domain.money import Money
from services.carts import Carts, CartSeen
from services.entities import CART, ORDER, Answered, Entities, Sender
from services.history import History
from services.merchants import MerchantSource

log = structlog.get_logger("services.placement")

_CHECKOUT_ATTEMPTS_MAX = 3
_ALREADY_PLACED = frozenset({"order_exists", "idempotency_key_reused"})
"""What `place` says when the order is there, made by another release that words the command differently."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the customer says when ordering. `expected_total_minor` is checked, never used."""

    fulfilment: Fulfilment
    payment_method: str = "pay_on_delivery"
    address: Address | None = None
    instructions: str = ""
    expected_total_minor: int | None = None


class _Source(msgspec.Struct):
    cart_id: str


_see_source = msgspec.json.Decoder(_Source).decode


class PlacedOrder(msgspec.Struct, frozen=True):
    """The order, and whether it had been placed from this cart before."""

    order_id: str
    answer: Answered
    repeated: bool


class Placements:
    def __init__(self, entities: Entities, carts: Carts, merchants: MerchantSource, history: History) -> None:
        self._entities = entities
        self._carts = carts
        self._merchants = merchants
        self._history = history

    async def place(self, sender: Sender, cart_id: str, wanted: Wanted, key: str = "") -> PlacedOrder:
        """Order this cart. A second press, also on another device, gives the first one's order.

        With a `key` the order's id is the key's, so that the key orders no second cart: `Invalid` with
        `idempotency_key_reused`. The terms hold for the cart as it was seen: one that changes meanwhile is seen
        again, or refused with `PreconditionFailed` if `sender` expects a version. Raises `Conflict` with
        `prices_changed` when prices had run out and the catalog has other ones by now: the cart shows notices,
        and the customer presses again.
        """
        cart = await self._carts.see(sender.actor, cart_id, sender.correlation)
        order_id = derived_id("order", sender.actor.subject, key) if key else new_id()
        if key and await self._is_of_another_cart(order_id, cart_id):
            raise _key_reused()
        for _ in range(_CHECKOUT_ATTEMPTS_MAX):
            command = BeginCheckout() if cart.order_id else await self._checkout(cart, wanted, order_id)
            seen = -1 if cart.order_id else cart.version
            try:
                began = await self._entities.ask(
                    CART,
                    cart_id,
                    command,
                    actor=sender.actor,
                    command_id=sender.command_id,
                    body_hash=sender.body_hash,
                    correlation=sender.correlation,
                    expect=seen if sender.expect < 0 else sender.expect,
                )
            except PreconditionFailed:
                if sender.expect >= 0:
                    raise
                cart = await self._carts.see(sender.actor, cart_id, sender.correlation)
                continue
            except Conflict as error:
                if error.failure.code != "prices_expired":
                    raise
                cart = await self._repriced(sender, cart_id, cart)
                sender = msgspec.structs.replace(sender, expect=-1)  # it was the expected one; we have changed it
                continue
            ordered = (began.data or {}).get("order_id", "")
            answer = await self.continue_checkout(cart_id, ordered, sender.correlation, began.version)
            return PlacedOrder(ordered, answer, repeated=began.duplicate or ordered != command.order_id)
        raise Conflict("The cart keeps changing.", code="cart_contended", retry_after_ms=500)

    async def continue_checkout(
        self, cart_id: str, order_id: str, correlation: str = "", near_version: int = 0
    ) -> Answered:
        """Carry a begun checkout to its end; safe to run at any time, any number of times. The order's view.

        `near_version`: where the cart's journal probably says that it began. Raises the order's refusal after
        the cart was opened again, and `Conflict` with `not_checking_out` when there is nothing to carry on.
        """
        began = await self._began(cart_id, order_id, near_version)
        try:
            answer = await self._entities.ask(
                ORDER,
                order_id,
                _place_command(cart_id, began),
                actor=SYSTEM,
                command_id=derived_command_id("place", cart_id, order_id),
                correlation=correlation,
                want=VIEW_JSON,
            )
        except Rejected as error:
            if error.failure.code not in _ALREADY_PLACED:
                await self._reopen(cart_id, order_id, error, correlation)
                raise
            if await self._is_of_another_cart(order_id, cart_id):  # one key for two carts at once
                await self._reopen(cart_id, order_id, error, correlation)
                raise _key_reused() from None
            answer = None
        await self._complete(cart_id, order_id, correlation)
        if answer is None or answer.duplicate:  # the answer to a repeat shows the order as it was placed
            return await self._entities.read(ORDER, order_id, actor=SYSTEM, correlation=correlation)
        return answer

    async def is_under_way(self, cart_id: str, order_id: str) -> bool:
        """Whether this checkout still waits for someone to finish it."""
        try:
            cart = await self._carts.see(SYSTEM, cart_id)
        except NotFound:
            return False
        return cart.status == "checking_out" and cart.order_id == order_id

    async def _is_of_another_cart(self, order_id: str, cart_id: str) -> bool:
        try:
            answer = await self._entities.read(ORDER, order_id, actor=SYSTEM)
        except NotFound:
            return False
        return _see_source(answer.view).cart_id != cart_id

    async def _checkout(self, cart: CartSeen, wanted: Wanted, order_id: str) -> BeginCheckout:
        merchant = await self._merchants.merchant(cart.merchant_id) if cart.merchant_id else None
        if merchant is None or not merchant.active:
            raise Conflict(
                "The merchant does not take orders now." if cart.merchant_id else "There is nothing to order.",
                code="merchant_closed" if cart.merchant_id else "cart_empty",
                extra={"current": cart.status},
            )
        fee = merchant.delivery_fee_minor if wanted.fulfilment is Fulfilment.DELIVERY else 0
        subtotal = cart.subtotal.amount
        if wanted.expected_total_minor not in {None, subtotal + fee}:
            raise Conflict(
                "The total is another one by now.",
                code="total_changed",
                extra={"current": cart.status, "total": Money(subtotal + fee, cart.currency)},
            )
        if subtotal < merchant.minimum_order_minor:
            minimum = Money(merchant.minimum_order_minor, cart.currency)
            raise Conflict(
                "The merchant has a minimum order.",
                code="below_minimum_order",
                extra={"current": cart.status, "minimum": minimum},
            )
        terms = Terms(
            payment_method=wanted.payment_method,
            fulfilment=wanted.fulfilment,
            address=wanted.address,
            instructions=wanted.instructions,
            delivery_fee_minor=fee,
            accept_within_ms=merchant.accept_within_ms,
        )
        return BeginCheckout(order_id, -1 if wanted.expected_total_minor is None else subtotal, terms)

    async def _repriced(self, sender: Sender, cart_id: str, before: CartSeen) -> CartSeen:
        await self._carts.reprice(cart_id, sender.correlation)
        after = await self._carts.see(sender.actor, cart_id, sender.correlation)
        if after.subtotal != before.subtotal or any(line.unavailable for line in after.lines.values()):
            raise Conflict(
                "Prices have changed: the cart shows them.",
                code="prices_changed",
                extra={"current": after.status, "subtotal": after.subtotal},
            )
        return after

    async def _began(self, cart_id: str, order_id: str, near_version: int) -> CheckoutBegan:
        near = await self._history.of(CART, cart_id, near_version - 1, near_version) if near_version else []
        for recorded in near or reversed(await self._history.of(CART, cart_id)):
            for event in reversed(recorded.events):
                if isinstance(event, CheckoutBegan) and event.order_id == order_id:
                    return event
                if isinstance(event, CheckoutCancelled) and event.order_id == order_id:
                    raise _not_checking_out()
        if near:
            return await self._began(cart_id, order_id, 0)
        raise _not_checking_out()

    async def _complete(self, cart_id: str, order_id: str, correlation: str) -> None:
        try:
            await self._entities.ask(
                CART,
                cart_id,
                CompleteCheckout(order_id),
                actor=SYSTEM,
                command_id=derived_command_id("complete-checkout", cart_id, order_id),
                correlation=correlation,
            )
        except Temporary as error:  # the order stands; the reaction to the checkout closes the cart
            log.warning("checkout_left_open", cart=cart_id, order=order_id, code=error.failure.code)

    async def _reopen(self, cart_id: str, order_id: str, why: AtriumError, correlation: str) -> None:
        await self._entities.ask(
            CART,
            cart_id,
            CancelCheckout(order_id, why.failure.code),
            actor=SYSTEM,
            command_id=derived_command_id("cancel-checkout", cart_id, order_id),
            correlation=correlation,
        )


def _key_reused() -> Invalid:
    return Invalid("This key was used with another body.", code="idempotency_key_reused")


def _not_checking_out() -> Conflict:
    return Conflict("No such checkout is under way.", code="not_checking_out")


def _place_command(cart_id: str, began: CheckoutBegan) -> Place:
    """Everything comes from the cart's own journal, so that this is the same whoever builds it."""
    terms = began.terms or Terms()
    return Place(
        cart_id=cart_id,
        user_id=began.owner,
        merchant_id=began.merchant_id,
        currency=began.currency,
        lines=began.lines,
        subtotal_minor=began.subtotal_minor,
        total_minor=began.total_minor + terms.delivery_fee_minor,
        delivery_fee_minor=terms.delivery_fee_minor,
        payment_method=terms.payment_method,
        fulfilment=terms.fulfilment,
        address=terms.address,
        instructions=terms.instructions,
        accept_within_ms=terms.accept_within_ms,
    )

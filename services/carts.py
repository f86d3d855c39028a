"""Carts: prices and options come from the catalog, never from the client (M1, M3)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.cart_commands import (
    AddLine,
    Clear,
    Create,
    Delete,
    DismissNotices,
    MarkMerged,
    Merge,
    MergeLine,
    Price,
    RemoveLine,
    Reprice,
    SetQuantity,
    UpdateLine,
)
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.wire import VIEW_JSON, VIEW_NONE
from domain.errors import Conflict, Invalid, NotFound, PreconditionFailed, invalid_field
from domain.ids import derived_command_id
from domain.money import Money
from domain.times import to_rfc3339
from services.entities import CART, Answered, Entities, Sender, send
from services.lookups import Clock
from services.products import Product, ProductCache, choose

_MERGE_ATTEMPTS_MAX = 3
_PRICED_LONG_AGO_MS = 1
"""A price time that has run out: the line is checked against the catalog before it can be ordered."""


class _OptionSeen(msgspec.Struct):
    id: str


class LineSeen(msgspec.Struct):
    """What use-cases read of a line in a cart's view."""

    line_id: str
    product_id: str
    name: str
    unit_price: Money
    quantity: int
    options: tuple[_OptionSeen, ...] = ()
    instructions: str = ""
    unavailable: bool = False


class CartSeen(msgspec.Struct):
    """What use-cases read of a cart's view."""

    status: str
    currency: str
    version: int
    lines: dict[str, LineSeen]
    subtotal: Money
    merchant_id: str = ""
    prices_expire_at: str = ""
    order_id: str = ""
    merged_into: str = ""


class _Expiry(msgspec.Struct):
    status: str
    prices_expire_at: str = ""


_see_cart = msgspec.json.Decoder(CartSeen).decode
_see_expiry = msgspec.json.Decoder(_Expiry).decode


class Carts:
    def __init__(self, entities: Entities, products: ProductCache, clock: Clock) -> None:
        self._entities = entities
        self._products = products
        self._clock = clock

    async def create(self, sender: Sender, cart_id: str, currency: str, merchant_id: str = "") -> Answered:
        return await self._ask(sender, cart_id, Create(currency, merchant_id))

    async def get(self, actor: Actor, cart_id: str, correlation: str = "") -> Answered:
        """The cart, re-priced first if its prices have run out (M3)."""
        answer = await self._entities.read(CART, cart_id, actor=actor, want=VIEW_JSON, correlation=correlation)
        expiry = _see_expiry(answer.view)
        now = to_rfc3339(self._clock.now_ms())
        if expiry.status in {"open", "abandoned"} and "" < expiry.prices_expire_at <= now:
            return await self.reprice(cart_id, correlation)
        return answer

    async def see(self, actor: Actor, cart_id: str, correlation: str = "") -> CartSeen:
        """The cart as use-cases read it. `NotFound` for a stranger."""
        answer = await self._entities.read(CART, cart_id, actor=actor, want=VIEW_JSON, correlation=correlation)
        return _see_cart(answer.view)

    async def add_item(
        self,
        sender: Sender,
        cart_id: str,
        product_id: str,
        quantity: int = 1,
        option_ids: Sequence[str] = (),
        instructions: str = "",
    ) -> Answered:
        """Add a product at its catalog price. `data["line_id"]` is the line it went to."""
        product = await self._products.get(product_id)
        if product is None:
            raise invalid_field("product_id", "unknown_product", "There is no such product to buy.")
        command = AddLine(
            product_id=product.id,
            name=product.name,
            unit_price_minor=product.price_minor,
            currency=product.currency,
            merchant_id=product.merchant_id,
            quantity=quantity,
            options=choose(product, option_ids),
            instructions=instructions,
            max_quantity=product.max_quantity,
        )
        return await self._ask(sender, cart_id, command)

    async def set_item(
        self,
        sender: Sender,
        cart_id: str,
        line_id: str,
        quantity: int | None = None,
        option_ids: Sequence[str] | None = None,
        instructions: str | None = None,
    ) -> Answered:
        """Change what is given of one line."""
        if option_ids is None and instructions is None and quantity is not None:
            return await self._ask(sender, cart_id, SetQuantity(line_id, quantity))
        options = None
        if option_ids is not None:
            cart = await self.see(sender.actor, cart_id, sender.correlation)
            line = cart.lines.get(line_id)
            if line is None:
                raise NotFound("The cart has no such line.", code="line_not_found")
            product = await self._products.get(line.product_id)
            if product is None:
                raise Conflict("The product is gone.", code="lines_unavailable", extra={"current": cart.status})
            options = choose(product, option_ids)
        return await self._ask(sender, cart_id, UpdateLine(line_id, quantity, options, instructions))

    async def remove_item(self, sender: Sender, cart_id: str, line_id: str) -> Answered:
        return await self._ask(sender, cart_id, RemoveLine(line_id))

    async def clear(self, sender: Sender, cart_id: str) -> Answered:
        return await self._ask(sender, cart_id, Clear())

    async def dismiss_notices(self, sender: Sender, cart_id: str) -> Answered:
        return await self._ask(sender, cart_id, DismissNotices())

    async def delete(self, sender: Sender, cart_id: str) -> None:
        await self._ask(sender, cart_id, Delete(), want=VIEW_NONE)

    async def reprice(self, cart_id: str, correlation: str = "") -> Answered:
        """Bring the catalog's prices to the lines whose price TTL has passed; the view shows notices."""
        cart = await self.see(SYSTEM, cart_id, correlation)
        products = await self._products.get_all(line.product_id for line in cart.lines.values())
        prices = tuple(_price(line, products.get(line.product_id)) for line in cart.lines.values())
        return await self._entities.ask(
            CART, cart_id, Reprice(prices), actor=SYSTEM, want=VIEW_JSON, correlation=correlation
        )

    async def merge(
        self, sender: Sender, cart_id: str, guest: Actor, source_id: str, *, replace: bool = False
    ) -> Answered:
        """Move a guest's cart into this one; the guest's quantities replace those of the same lines.

        `guest` comes from the guest's own token: the proof that the source is theirs to give. The source is
        closed at the version that was taken over only: a line added to it meanwhile is merged too. The command id
        names that version, so a repeat changes nothing. The first take-over has the sender's own id, if there is
        one: the same key for another source is `idempotency_key_reused`.
        """
        if source_id == cart_id:
            raise invalid_field("source_cart_id", "same_cart", "A cart cannot be merged into itself.")
        for _ in range(_MERGE_ATTEMPTS_MAX):
            source = await self.see(guest, source_id, sender.correlation)
            if source.merged_into:
                if source.merged_into != cart_id:
                    raise _not_mergeable(source)
                return await self._entities.read(
                    CART, cart_id, actor=sender.actor, want=VIEW_JSON, correlation=sender.correlation
                )
            if source.status not in {"open", "abandoned"}:
                raise _not_mergeable(source)
            answer = await self._take_over(sender, cart_id, source_id, source, replace=replace)
            try:
                await self._entities.ask(
                    CART,
                    source_id,
                    MarkMerged(cart_id),
                    actor=guest,
                    command_id=derived_command_id("mark-merged", source_id, cart_id, str(source.version)),
                    correlation=sender.correlation,
                    expect=source.version,
                )
            except PreconditionFailed:
                sender = msgspec.structs.replace(sender, expect=-1, command_id=None)
                continue  # the guest's other tab changed it: take that over too
            return answer
        raise Conflict("The other cart keeps changing.", code="merge_contended", retry_after_ms=500)

    async def _take_over(
        self, sender: Sender, cart_id: str, source_id: str, source: CartSeen, *, replace: bool
    ) -> Answered:
        if not source.lines:
            return await self._entities.read(
                CART, cart_id, actor=sender.actor, want=VIEW_JSON, correlation=sender.correlation
            )
        products = await self._products.get_all(line.product_id for line in source.lines.values())
        command = Merge(
            source_id=source_id,
            merchant_id=source.merchant_id,
            currency=source.currency,
            lines=tuple(_merge_line(line, products.get(line.product_id)) for line in source.lines.values()),
            replace=replace,
        )
        if sender.command_id is not None:
            answer = await self._ask(sender, cart_id, command)
            if not answer.duplicate:
                return answer
        again = msgspec.structs.replace(
            sender,
            command_id=derived_command_id("merge", cart_id, source_id, str(source.version)),
            body_hash=None,
            expect=sender.expect if sender.command_id is None else -1,
        )
        return await self._ask(again, cart_id, command)

    async def _ask(self, sender: Sender, cart_id: str, command: Any, want: int = VIEW_JSON) -> Answered:
        return await send(self._entities, CART, cart_id, sender, command, want)


def _price(line: LineSeen, product: Product | None) -> Price:
    options = _still_offered(line, product)
    if product is None or options is None:
        return Price(line_id=line.line_id, available=False)
    return Price(line_id=line.line_id, unit_price_minor=product.price_minor, options=options)


def _merge_line(line: LineSeen, product: Product | None) -> MergeLine:
    """At the price of now; what is no longer on the menu comes along to be seen, but cannot be ordered."""
    options = _still_offered(line, product)
    if product is None or options is None:
        return MergeLine(
            product_id=line.product_id,
            name=line.name,
            unit_price_minor=line.unit_price.amount,
            quantity=line.quantity,
            instructions=line.instructions,
            priced_at_ms=_PRICED_LONG_AGO_MS,
        )
    return MergeLine(
        product_id=product.id,
        name=product.name,
        unit_price_minor=product.price_minor,
        quantity=min(line.quantity, product.max_quantity),
        options=options,
        instructions=line.instructions,
        max_quantity=product.max_quantity,
    )


def _still_offered(line: LineSeen, product: Product | None) -> Any:
    """The line's options at current prices; None when the product no longer offers this choice."""
    if product is None:
        return None
    try:
        return choose(product, [option.id for option in line.options])
    except Invalid:
        return None


def _not_mergeable(source: CartSeen) -> Conflict:
    return Conflict("The other cart is closed.", code="cart_closed", extra={"current": source.status})

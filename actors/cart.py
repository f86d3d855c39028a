"""The live cart: `open → checking_out → converted`; `abandoned` after its TTL, revived by any command.

Only its owner (a user or a guest) and the system see it; to everyone else it looks unknown.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, get_args

import msgspec

from actors import cart_lines
from actors.cart_apply import APPLY
from actors.cart_commands import (
    AddLine,
    BeginCheckout,
    CancelCheckout,
    Clear,
    Command,
    CompleteCheckout,
    Create,
    Delete,
    DismissNotices,
    Erase,
    MarkMerged,
    Merge,
    RemoveLine,
    Reprice,
    SetMerchant,
    SetQuantity,
    UpdateLine,
)
from actors.cart_erasure import ABANDON_TIMER, erase
from actors.cart_state import (
    ABANDON_AFTER_MS,
    CLOSED,
    REASON_LENGTH_MAX,
    Abandoned,
    CartState,
    CartStatus,
    CheckoutBegan,
    CheckoutCancelled,
    CheckoutCompleted,
    Created,
    Deleted,
    Event,
    MergedInto,
    NoticesDismissed,
    Revived,
    prices_expire_at,
)
from actors.cart_views import CartView, cart_view
from actors.parties import Party, is_system, parties
from actors.runtime.entity import (
    NOTHING,
    Actor,
    CancelReminder,
    Context,
    Decision,
    EntityKind,
    IndexRow,
    Meta,
    SetReminder,
)
from domain.errors import Conflict, Forbidden, NotFound
from domain.lines import Line, subtotal
from domain.money import check_currency
from domain.text import check_id, check_text

_replace = msgspec.structs.replace

ACTS: Final = frozenset((Party.OWNER, Party.SYSTEM))
"""Who changes a cart."""
SEES: Final = ACTS | {Party.PLATFORM}


class CartKind(EntityKind[CartState]):
    name: ClassVar[str] = "cart"
    schema: ClassVar[int] = 1
    sensitive: ClassVar[bool] = True
    once_clear: ClassVar[bool] = True
    commands: ClassVar[tuple[type, ...]] = get_args(Command)
    events: ClassVar[tuple[type, ...]] = get_args(Event)
    state: ClassVar[type] = CartState

    def decide(self, state: CartState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, Create):
            return _create(state, command, ctx)
        if state is None or not parties(ctx.actor, person=state.owner) & ACTS:
            raise _unknown()
        if isinstance(command, Delete):
            return _delete(state)
        if isinstance(command, Erase):
            return erase(state, ctx)
        if state.status is CartStatus.DELETED:
            raise _unknown()
        process = _PROCESS.get(type(command))
        if process is not None:
            return process(state, command, ctx)
        if state.status in CLOSED:
            raise _refused(state, "cart_closed", "The cart is closed.")
        if state.status is CartStatus.CHECKING_OUT:
            raise _refused(state, "cart_checking_out", "The cart is being ordered.")
        return _revived(state, _EDITS[type(command)](state, command, ctx), ctx)

    def apply(self, state: CartState | None, event: Any, meta: Meta) -> CartState:
        if isinstance(event, Created):
            return CartState(
                id=event.cart_id,
                owner=event.owner,
                currency=event.currency,
                merchant_id=event.merchant_id,
                created_at_ms=meta.time_ms,
                active_at_ms=meta.time_ms,
                indexed_at_ms=meta.time_ms,
            )
        if state is None:
            raise ValueError("a cart's journal begins with its creation")
        APPLY[type(event)](state, event, meta)
        return state

    def view(self, state: CartState, signals: dict[str, Any], version: int) -> CartView:  # noqa: ARG002
        return cart_view(state, version)

    def may_read(self, state: CartState, actor: Actor) -> bool:
        if state.status is CartStatus.DELETED:
            return False
        return bool(parties(actor, person=state.owner) & SEES)

    def on_timer(self, state: CartState | None, name: str, ctx: Context) -> Decision:
        """Abandon an idle cart. After activity the timer is set anew only here, not by every command."""
        if state is None or name != ABANDON_TIMER:
            return NOTHING
        if state.status is CartStatus.OPEN:
            due_ms = state.active_at_ms + ABANDON_AFTER_MS
            if ctx.now_ms >= due_ms:
                return Decision((Abandoned(),))
            return Decision(reminders=(SetReminder(ABANDON_TIMER, due_ms),))
        if state.status is CartStatus.CHECKING_OUT:
            return Decision(reminders=(SetReminder(ABANDON_TIMER, ctx.now_ms + ABANDON_AFTER_MS),))
        return NOTHING

    def index_row(self, state: CartState) -> IndexRow:
        """`updated_at` is that of the last change of this row: adding a line writes none."""
        return IndexRow(
            "carts",
            {
                "owner": state.owner,
                "merchant_id": state.merchant_id,
                "status": state.status.value,
                "created_at": state.created_at_ms,
                "updated_at": state.indexed_at_ms,
            },
        )


def _create(state: CartState | None, command: Create, ctx: Context) -> Decision:
    owner = ctx.actor.subject
    if is_system(ctx.actor):
        owner = check_id(command.owner, "owner")
    if state is not None:
        same = (state.owner, state.currency, state.merchant_id) == (
            owner,
            command.currency,
            command.merchant_id,
        )
        if same and state.status is CartStatus.OPEN:
            return NOTHING
        raise Conflict("This id is taken.", code="cart_exists")
    check_currency(command.currency)
    check_id(command.merchant_id, "merchant_id", required=False)
    return Decision(
        (Created(ctx.id, owner, command.currency, command.merchant_id),),
        reminders=(SetReminder(ABANDON_TIMER, ctx.now_ms + ABANDON_AFTER_MS),),
    )


def _delete(state: CartState) -> Decision:
    if state.status is CartStatus.DELETED:
        return NOTHING
    if state.status in CLOSED:
        raise _refused(state, "cart_closed", "The cart is closed.")
    if state.status is CartStatus.CHECKING_OUT:
        raise _refused(state, "cart_checking_out", "The cart is being ordered.")
    return Decision((Deleted(),), reminders=_STOP_TIMER)


def _mark_merged(state: CartState, command: MarkMerged, ctx: Context) -> Decision:
    if state.status is CartStatus.MERGED and state.merged_into == command.into_id:
        return NOTHING
    if state.status in CLOSED or state.status is CartStatus.CHECKING_OUT:
        raise _refused(state, "cart_closed", "The cart can no longer be merged.")
    if check_id(command.into_id, "into_id") == ctx.id:
        raise _refused(state, "same_cart", "A cart cannot be merged into itself.")
    return Decision((MergedInto(command.into_id),), reminders=_STOP_TIMER)


def _reprice(state: CartState, command: Reprice, ctx: Context) -> Decision:
    _system_only(ctx)
    if state.status in CLOSED or state.status is CartStatus.CHECKING_OUT:
        return NOTHING  # prices are frozen from checkout on
    return cart_lines.reprice(state, command, ctx)


def _dismiss(state: CartState, _command: DismissNotices, _ctx: Context) -> Decision:
    noted = any(line.repriced_from_minor >= 0 for line in state.lines.values())
    return Decision((NoticesDismissed(),)) if noted else NOTHING


def _begin_checkout(state: CartState, command: BeginCheckout, ctx: Context) -> Decision:
    if state.status in {CartStatus.CHECKING_OUT, CartStatus.CONVERTED}:
        return Decision(reply={"order_id": state.order_id})
    if state.status in CLOSED:
        raise _refused(state, "cart_closed", "The cart is closed.")
    lines = state.lines.values()
    if not lines:
        raise _refused(state, "cart_empty", "There is nothing to order.")
    missing = [line.line_id for line in lines if line.unavailable]
    if missing:
        raise _refused(state, "lines_unavailable", "Some products are gone.", line_ids=missing)
    if ctx.now_ms >= prices_expire_at(lines):
        raise _refused(state, "prices_expired", "Prices must be confirmed first.")
    total = subtotal(lines)
    if command.expected_total_minor not in {-1, total}:
        shown = {"amount": total, "currency": state.currency}
        raise _refused(state, "total_changed", "The total is another one by now.", total=shown)
    order_id = check_id(command.order_id, "order_id", required=False) or ctx.new_id("order")
    began = CheckoutBegan(
        order_id,
        state.owner,
        state.merchant_id,
        state.currency,
        tuple(map(_frozen, lines)),
        total,
        total,
        command.terms,
    )
    return _revived(state, Decision((began,), {"order_id": order_id}), ctx)


def _cancel_checkout(state: CartState, command: CancelCheckout, ctx: Context) -> Decision:
    _system_only(ctx)
    if state.status is CartStatus.OPEN or state.status is CartStatus.ABANDONED:
        return NOTHING
    if state.status is not CartStatus.CHECKING_OUT or state.order_id != command.order_id:
        raise _refused(state, "not_checking_out", "No such checkout is under way.", order_id=state.order_id)
    reason = check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX)
    return Decision((CheckoutCancelled(command.order_id, reason),))


def _complete_checkout(state: CartState, command: CompleteCheckout, ctx: Context) -> Decision:
    _system_only(ctx)
    ours = state.order_id == command.order_id
    if state.status is CartStatus.CONVERTED and ours:
        return NOTHING
    if state.status is not CartStatus.CHECKING_OUT or not ours:
        raise _refused(state, "not_checking_out", "No such checkout is under way.", order_id=state.order_id)
    return Decision((CheckoutCompleted(command.order_id),), reminders=_STOP_TIMER)


def _revived(state: CartState, decision: Decision, ctx: Context) -> Decision:
    if state.status is not CartStatus.ABANDONED:
        return decision
    timer = SetReminder(ABANDON_TIMER, ctx.now_ms + ABANDON_AFTER_MS)
    return _replace(decision, events=(Revived(), *decision.events), reminders=(timer, *decision.reminders))


def _frozen(line: Line) -> Line:
    return Line(
        line_id=line.line_id,
        product_id=line.product_id,
        name=line.name,
        unit_price_minor=line.unit_price_minor,
        quantity=line.quantity,
        options=line.options,
        instructions=line.instructions,
    )


def _system_only(ctx: Context) -> None:
    if not is_system(ctx.actor):
        raise Forbidden("Only the checkout process does this.")


def _unknown() -> NotFound:
    return NotFound("There is no such cart.")


def _refused(state: CartState, code: str, detail: str, **extra: Any) -> Conflict:
    return Conflict(detail, code=code, extra={"current": state.status.value, **extra})


_STOP_TIMER: Final = (CancelReminder(ABANDON_TIMER),)

_PROCESS: Final[dict[type, Callable[[CartState, Any, Context], Decision]]] = {
    MarkMerged: _mark_merged,
    Reprice: _reprice,
    BeginCheckout: _begin_checkout,
    CancelCheckout: _cancel_checkout,
    CompleteCheckout: _complete_checkout,
}
"""Commands with a status rule of their own."""

_EDITS: Final[dict[type, Callable[[CartState, Any, Context], Decision]]] = {
    AddLine: cart_lines.add_line,
    SetQuantity: cart_lines.set_quantity,
    UpdateLine: cart_lines.update_line,
    RemoveLine: lambda state, command, _: cart_lines.remove_line(state, command.line_id),
    Clear: lambda state, _command, _ctx: cart_lines.clear(state),
    SetMerchant: cart_lines.set_merchant,
    Merge: cart_lines.merge,
    DismissNotices: _dismiss,
}
"""Commands for an open cart; an abandoned one is revived by them, also when they change nothing else."""

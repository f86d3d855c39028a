"""The live order: frozen lines, a status machine, a courier with a live position.

Its user, the merchant's staff, its courier, admins and holders of its share link see it, and couriers see a
delivery that is ready and free; to everyone else it looks unknown.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, get_args

from actors.order_commands import AssignCourier, Cancel, Command, Erase, Place, ReportPosition, SetStatus
from actors.order_erasure import erase, erased
from actors.order_placement import check_placement, same_placement
from actors.order_position import report_position
from actors.order_state import (
    DEADLINE_REASON,
    PAY_ON_DELIVERY,
    PAYMENT_WITHIN_MS,
    REASON_LENGTH_MAX,
    CourierAssigned,
    Erased,
    Event,
    OrderState,
    Placed,
    Stamp,
    StatusChanged,
)
from actors.order_status import (
    ASSIGNABLE,
    KNOWS,
    MOVERS,
    SEES,
    TRANSITIONS,
    Fulfilment,
    OrderStatus,
    Transition,
)
from actors.order_views import OrderView, order_view
from actors.parties import Parties, Party, is_system, parties
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
from domain.errors import Conflict, Forbidden, NotFound, invalid_field
from domain.text import check_id, check_text

ACCEPT_TIMER: Final = "accept"
PAYMENT_TIMER: Final = "payment"


class OrderKind(EntityKind[OrderState]):
    name: ClassVar[str] = "order"
    schema: ClassVar[int] = 1
    sensitive: ClassVar[bool] = True
    once_clear: ClassVar[bool] = True
    commands: ClassVar[tuple[type, ...]] = get_args(Command)
    events: ClassVar[tuple[type, ...]] = get_args(Event)
    state: ClassVar[type] = OrderState

    def decide(self, state: OrderState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, Place):
            return _place(state, command, ctx)
        if state is None:
            raise _unknown()
        if isinstance(command, AssignCourier):
            return _assign(state, command, ctx)
        if not self.may_read(state, ctx.actor):
            raise _unknown()
        return _HANDLERS[type(command)](state, command, ctx)

    def apply(self, state: OrderState | None, event: Any, meta: Meta) -> OrderState:
        if isinstance(event, Placed):
            return _placed(event, meta)
        if state is None:
            raise ValueError("an order's journal begins with its placement")
        if isinstance(event, StatusChanged):
            _status_changed(state, event, meta)
        elif isinstance(event, CourierAssigned):
            state.courier_id = event.courier_id
            state.updated_at_ms = meta.time_ms
        elif isinstance(event, Erased):
            erased(state, event)
        else:
            state.position = event
        return state

    def view(self, state: OrderState, signals: dict[str, Any], version: int) -> OrderView:
        return order_view(state, signals, version)

    def may_read(self, state: OrderState, actor: Actor) -> bool:
        known = _parties(state, actor)
        return bool(known & SEES) or (Party.ANY_COURIER in known and _is_free(state))

    def on_timer(self, state: OrderState | None, name: str, ctx: Context) -> Decision:
        """The merchant's or the payer's time is over. A reminder that came early is set again."""
        if state is None:
            return NOTHING
        if name == ACCEPT_TIMER and state.status is OrderStatus.PLACED:
            if ctx.now_ms < state.accept_by_ms:
                return Decision(reminders=(SetReminder(ACCEPT_TIMER, state.accept_by_ms),))
            return _moved(state, SetStatus(to="rejected", reason=DEADLINE_REASON), OrderStatus.REJECTED, ctx)
        if name == PAYMENT_TIMER and state.status is OrderStatus.PENDING_PAYMENT:
            due_ms = state.timeline[0].at_ms + PAYMENT_WITHIN_MS
            if ctx.now_ms < due_ms:
                return Decision(reminders=(SetReminder(PAYMENT_TIMER, due_ms),))
            return _moved(state, SetStatus(to="expired"), OrderStatus.EXPIRED, ctx)
        return NOTHING

    def index_row(self, state: OrderState) -> IndexRow:
        """Positions do not touch it; `courier_id` is NULL until there is one. Times in milliseconds."""
        placed = state.placed
        return IndexRow(
            "orders",
            {
                "user_id": placed.user_id,
                "merchant_id": placed.merchant_id,
                "courier_id": state.courier_id or None,
                "status": state.status.value,
                "currency": placed.currency,
                "total_minor": placed.total_minor,
                "lines_count": len(placed.lines),
                "cart_id": placed.cart_id,
                "placed_at": state.timeline[0].at_ms,
                "updated_at": state.updated_at_ms,
            },
        )

    def groups(self, state: OrderState) -> tuple[str, ...]:
        placed = state.placed
        groups = (f"merchant/{placed.merchant_id}/orders", f"user/{placed.user_id}/orders")
        return (*groups, f"courier/{state.courier_id}/orders") if state.courier_id else groups


def _place(state: OrderState | None, command: Place, ctx: Context) -> Decision:
    if not is_system(ctx.actor):
        raise _unknown() if state is None else Forbidden("Orders are placed by checking out a cart.")
    reply = {"order_id": ctx.id}
    placed = check_placement(command, ctx.id)
    if state is not None:
        if same_placement(state.placed, placed):
            return Decision(reply=reply)
        raise Conflict("Another order has this id.", code="order_exists", extra=_current(state))
    if placed.payment_method == PAY_ON_DELIVERY:
        timer = _accept_timer(placed, ctx)
    else:
        timer = (SetReminder(PAYMENT_TIMER, ctx.now_ms + PAYMENT_WITHIN_MS),)
    return Decision((placed,), reply, reminders=timer)


def _set_status(state: OrderState, command: SetStatus, ctx: Context) -> Decision:
    try:
        to = OrderStatus(command.to)
    except ValueError:
        raise invalid_field("to", "unknown_status", "Not a status of an order.") from None
    sender = _parties(state, ctx.actor)
    if not sender & MOVERS[to]:
        raise Forbidden(f"You cannot set an order to {to.value}.")
    if state.status is to:
        return NOTHING
    if command.from_ and command.from_ != state.status.value:
        raise Conflict("The order has moved on.", extra=_current(state))
    step = TRANSITIONS.get((state.status, to))
    if step is None or state.placed.fulfilment not in step.fulfilments:
        raise Conflict(
            f"An order that is {state.status.value} cannot become {to.value}.",
            code="invalid_transition",
            extra=_current(state),
        )
    _check_step(state, command, sender, step)
    return _moved(state, command, to, ctx)


def _check_step(state: OrderState, command: SetStatus, sender: frozenset[Party], step: Transition) -> None:
    movers = sender & step.parties
    if not movers:
        # Theirs to do, but from another status: it is the state that is wrong, so the state is told.
        raise Conflict(
            f"You cannot do this while the order is {state.status.value}.",
            code="invalid_transition",
            extra=_current(state),
        )
    must_say_why = movers <= step.reason
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=must_say_why)
    if command.out_of_stock_lines:
        if command.to != OrderStatus.REJECTED:
            raise invalid_field("out_of_stock_lines", "not_allowed", "Only with a rejection.")
        known = {line.line_id for line in state.placed.lines}
        for at, line_id in enumerate(command.out_of_stock_lines):
            if line_id not in known:
                raise invalid_field(f"out_of_stock_lines.{at}", "unknown_line", "The order has no such line.")


def _moved(state: OrderState, command: SetStatus, to: OrderStatus, ctx: Context) -> Decision:
    event = StatusChanged(
        from_=state.status,
        to=to,
        reason=command.reason,
        out_of_stock_lines=tuple(dict.fromkeys(command.out_of_stock_lines)),
    )
    timers: tuple[SetReminder | CancelReminder, ...] = ()
    if state.status is OrderStatus.PENDING_PAYMENT:
        timers = (CancelReminder(PAYMENT_TIMER),)
        if to is OrderStatus.PLACED:
            timers += _accept_timer(state.placed, ctx)
    elif state.status is OrderStatus.PLACED and state.accept_by_ms:
        timers = (CancelReminder(ACCEPT_TIMER),)
    return Decision((event,), reminders=timers)


def _cancel(state: OrderState, command: Cancel, ctx: Context) -> Decision:
    return _set_status(state, SetStatus(to=OrderStatus.CANCELLED.value, reason=command.reason), ctx)


def _assign(state: OrderState, command: AssignCourier, ctx: Context) -> Decision:
    if not _parties(state, ctx.actor) & {Party.MERCHANT, Party.SYSTEM}:
        return _claim(state, command, ctx)
    courier_id = check_id(command.courier_id, "courier_id")
    if courier_id == state.courier_id:
        return NOTHING
    if state.placed.fulfilment is not Fulfilment.DELIVERY:
        raise Conflict("This order is not delivered.", code="not_a_delivery", extra=_current(state))
    if state.status not in ASSIGNABLE:
        raise Conflict("No courier can be assigned now.", code="not_assignable", extra=_current(state))
    return Decision((CourierAssigned(courier_id, state.courier_id),))


def _claim(state: OrderState, command: AssignCourier, ctx: Context) -> Decision:
    """Exclusive: the first courier's claim that commits wins."""
    courier_id = ctx.actor.subject
    sender = _parties(state, ctx.actor)
    if Party.ANY_COURIER not in sender:
        raise Forbidden("Only the merchant or a courier can do this.") if sender & KNOWS else _unknown()
    if command.courier_id not in {"", courier_id}:
        raise Forbidden("A courier claims only for themself.")
    if state.courier_id == courier_id:
        return NOTHING
    if state.courier_id:
        raise Conflict("Another courier has it.", code="taken", extra={**_current(state), "by": state.courier_id})
    if not _is_free(state):
        raise _unknown()
    return Decision((CourierAssigned(courier_id),))


def _report(state: OrderState, command: ReportPosition, ctx: Context) -> Decision:
    if Party.COURIER not in _parties(state, ctx.actor):
        raise Forbidden("Only the order's courier reports its position.")
    return report_position(state, command, ctx)


_HANDLERS: Final[dict[type, Callable[[OrderState, Any, Context], Decision]]] = {
    SetStatus: _set_status,
    Cancel: _cancel,
    ReportPosition: _report,
    Erase: erase,
}


def _placed(event: Placed, meta: Meta) -> OrderState:
    """The placement is the customer's act, whichever process carried it out."""
    now = event.payment_method == PAY_ON_DELIVERY
    status = OrderStatus.PLACED if now else OrderStatus.PENDING_PAYMENT
    state = OrderState(
        placed=event,
        status=status,
        timeline=(Stamp(status, meta.time_ms, event.user_id, meta.device),),
        updated_at_ms=meta.time_ms,
    )
    if now and event.fulfilment is not Fulfilment.TICKETS:
        state.accept_by_ms = meta.time_ms + event.accept_within_ms
    return state


def _status_changed(state: OrderState, event: StatusChanged, meta: Meta) -> None:
    state.status = event.to
    state.timeline += (Stamp(event.to, meta.time_ms, meta.actor, meta.device),)
    state.updated_at_ms = meta.time_ms
    state.reason = event.reason
    state.out_of_stock_lines = event.out_of_stock_lines
    if event.to is OrderStatus.PLACED and state.placed.fulfilment is not Fulfilment.TICKETS:
        state.accept_by_ms = meta.time_ms + state.placed.accept_within_ms


def _accept_timer(placed: Placed, ctx: Context) -> tuple[SetReminder, ...]:
    """Tickets need no acceptance."""
    if placed.fulfilment is Fulfilment.TICKETS:
        return ()
    return (SetReminder(ACCEPT_TIMER, ctx.now_ms + placed.accept_within_ms),)


def _parties(state: OrderState, actor: Actor) -> Parties:
    placed = state.placed
    return parties(
        actor,
        organization_id=placed.merchant_id,
        person=placed.user_id,
        courier=state.courier_id,
        shared=placed.order_id,
    )


def _is_free(state: OrderState) -> bool:
    """A delivery that waits for any courier."""
    ready = state.status is OrderStatus.READY and not state.courier_id
    return ready and state.placed.fulfilment is Fulfilment.DELIVERY


def _current(state: OrderState) -> dict[str, Any]:
    return {"current": state.status.value}


def _unknown() -> NotFound:
    return NotFound("There is no such order.")

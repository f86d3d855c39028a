"""What a cart forgets of its owner (rule P1), in its state and in what its journal has of before.

A cart keeps its owner's id, its times and its status. What was ordered is the order's to keep.
"""

from typing import Final

import msgspec

from actors.cart_state import (
    CLOSED,
    CartState,
    CartStatus,
    CheckoutBegan,
    CheckoutCancelled,
    Erased,
    Event,
    LineAdded,
    LineUpdated,
)
from actors.parties import is_system
from actors.runtime.entity import NOTHING, CancelReminder, Context, Decision, Meta
from domain.errors import Conflict, Forbidden

ABANDON_TIMER: Final = "abandon"
_replace = msgspec.structs.replace


def erase(state: CartState, ctx: Context) -> Decision:
    if not is_system(ctx.actor):
        raise Forbidden("Only an erasure does this.")
    if state.status is CartStatus.CHECKING_OUT:
        extra = {"current": state.status.value}
        raise Conflict("The cart is being ordered.", code="cart_checking_out", extra=extra)
    if state.status in CLOSED and not state.lines:
        return NOTHING
    return Decision((Erased(),), reminders=(CancelReminder(ABANDON_TIMER),))


def erased(state: CartState, _event: Erased, meta: Meta) -> None:
    state.lines = {}
    if state.status not in CLOSED:
        state.status = CartStatus.DELETED
        state.active_at_ms = state.indexed_at_ms = meta.time_ms


def redacted(event: Event) -> Event:
    """The event without address and instructions; the same one if it has none."""
    if isinstance(event, LineAdded | LineUpdated):
        return _replace(event, instructions="") if event.instructions else event
    if isinstance(event, CheckoutCancelled):
        return _replace(event, reason="") if event.reason else event
    if isinstance(event, CheckoutBegan):
        lines = tuple(_replace(line, instructions="") for line in event.lines)
        terms = None if event.terms is None else _replace(event.terms, address=None, instructions="")
        return _replace(event, lines=lines, terms=terms)
    return event

"""How each event changes a cart: the same live and on replay."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.cart_erasure import erased
from actors.cart_state import (
    Abandoned,
    AvailabilityChanged,
    CartState,
    CartStatus,
    CheckoutBegan,
    CheckoutCancelled,
    CheckoutCompleted,
    Cleared,
    Deleted,
    Erased,
    LineAdded,
    LineRemoved,
    LineRepriced,
    LineUpdated,
    MerchantChanged,
    Merged,
    MergedInto,
    NoticesDismissed,
    QuantityChanged,
    Revived,
    new_line,
    repriced_line,
)
from actors.runtime.entity import Meta

_replace = msgspec.structs.replace


def _line_added(state: CartState, event: LineAdded, meta: Meta) -> None:
    line = new_line(event, meta.time_ms, meta.version)
    state.lines[line.line_id] = line
    state.next_line = max(state.next_line, int(event.line_id) + 1)
    state.active_at_ms = meta.time_ms


def _quantity_changed(state: CartState, event: QuantityChanged, meta: Meta) -> None:
    line = state.lines[event.line_id]
    most = line.max_quantity if event.max_quantity < 0 else event.max_quantity
    state.lines[line.line_id] = _replace(line, quantity=event.quantity, changed_version=meta.version, max_quantity=most)
    state.active_at_ms = meta.time_ms


def _line_updated(state: CartState, event: LineUpdated, meta: Meta) -> None:
    line = state.lines[event.line_id]
    changed = meta.version if event.quantity != line.quantity else line.changed_version
    state.lines[line.line_id] = _replace(
        line,
        quantity=event.quantity,
        options=event.options,
        instructions=event.instructions,
        changed_version=changed,
    )
    state.active_at_ms = meta.time_ms


def _line_removed(state: CartState, event: LineRemoved, meta: Meta) -> None:
    del state.lines[event.line_id]
    state.active_at_ms = meta.time_ms


def _cleared(state: CartState, _event: Cleared, meta: Meta) -> None:
    state.lines = {}
    state.active_at_ms = meta.time_ms


def _merchant_changed(state: CartState, event: MerchantChanged, meta: Meta) -> None:
    state.merchant_id = event.merchant_id
    state.lines = {}
    state.active_at_ms = state.indexed_at_ms = meta.time_ms


def _merged(state: CartState, _event: Merged, meta: Meta) -> None:
    state.active_at_ms = meta.time_ms


def _line_repriced(state: CartState, event: LineRepriced, meta: Meta) -> None:
    state.lines[event.line_id] = repriced_line(state.lines[event.line_id], event, meta.time_ms)


def _availability_changed(state: CartState, event: AvailabilityChanged, _meta: Meta) -> None:
    state.lines[event.line_id] = _replace(state.lines[event.line_id], unavailable=not event.available)


def _notices_dismissed(state: CartState, _event: NoticesDismissed, meta: Meta) -> None:
    for line in tuple(state.lines.values()):
        if line.repriced_from_minor >= 0:
            state.lines[line.line_id] = _replace(line, repriced_from_minor=-1)
    state.active_at_ms = meta.time_ms


def _checkout_began(state: CartState, event: CheckoutBegan, meta: Meta) -> None:
    _enter(state, CartStatus.CHECKING_OUT, meta)
    state.order_id = event.order_id


def _checkout_cancelled(state: CartState, _event: CheckoutCancelled, meta: Meta) -> None:
    _enter(state, CartStatus.OPEN, meta)
    state.order_id = ""


def _merged_into(state: CartState, event: MergedInto, meta: Meta) -> None:
    _enter(state, CartStatus.MERGED, meta)
    state.merged_into = event.into_id


def _deleted(state: CartState, _event: Deleted, meta: Meta) -> None:
    _enter(state, CartStatus.DELETED, meta)
    state.lines = {}


def _abandoned(state: CartState, _event: Abandoned, meta: Meta) -> None:
    state.status = CartStatus.ABANDONED
    state.indexed_at_ms = meta.time_ms


def _enter(state: CartState, status: CartStatus, meta: Meta) -> None:
    state.status = status
    state.active_at_ms = state.indexed_at_ms = meta.time_ms


APPLY: Final[dict[type, Callable[[CartState, Any, Meta], None]]] = {
    LineAdded: _line_added,
    QuantityChanged: _quantity_changed,
    LineUpdated: _line_updated,
    LineRemoved: _line_removed,
    Cleared: _cleared,
    MerchantChanged: _merchant_changed,
    Merged: _merged,
    MergedInto: _merged_into,
    LineRepriced: _line_repriced,
    AvailabilityChanged: _availability_changed,
    NoticesDismissed: _notices_dismissed,
    CheckoutBegan: _checkout_began,
    CheckoutCancelled: _checkout_cancelled,
    CheckoutCompleted: lambda state, _event, meta: _enter(state, CartStatus.CONVERTED, meta),
    Abandoned: _abandoned,
    Revived: lambda state, _event, meta: _enter(state, CartStatus.OPEN, meta),
    Deleted: _deleted,
    Erased: erased,
}

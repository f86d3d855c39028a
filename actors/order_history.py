"""An order's history as people read it: its journal, event by event."""

import msgspec

from actors.order_state import (
    PAY_ON_DELIVERY,
    CourierAssigned,
    Erased,
    Event,
    Placed,
    PositionSampled,
    StatusChanged,
)
from actors.order_views import PositionView, position_view
from actors.runtime.entity import Meta
from domain.times import to_rfc3339


class HistoryEntry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that happened. `type` is the event's name; `text` says it in a sentence."""

    version: int
    at: str
    type: str
    text: str
    by: str
    device: str = ""
    status: str = ""
    previous: str = ""
    reason: str = ""
    out_of_stock_lines: tuple[str, ...] = ()
    courier_id: str = ""
    position: PositionView | msgspec.UnsetType = msgspec.UNSET


def history_entry(event: Event, meta: Meta) -> HistoryEntry:
    """The entry of one journaled event; `meta` is what its row says."""
    at = to_rfc3339(meta.time_ms)
    version, by, device = meta.version, meta.actor, meta.device
    if isinstance(event, Placed):
        status = "placed" if event.payment_method == PAY_ON_DELIVERY else "pending_payment"
        text = f"Order placed: {len(event.lines)} lines."
        return HistoryEntry(
            version=version, at=at, type="placed", text=text, by=event.user_id, device=device, status=status
        )
    if isinstance(event, StatusChanged):
        words = event.to.value.replace("_", " ")
        return HistoryEntry(
            version=version,
            at=at,
            type="status_changed",
            text=f"Order {words}: {event.reason}" if event.reason else f"Order {words}.",
            by=by,
            device=device,
            status=event.to.value,
            previous=event.from_.value,
            reason=event.reason,
            out_of_stock_lines=event.out_of_stock_lines,
        )
    if isinstance(event, CourierAssigned):
        text = "Courier changed." if event.instead_of else "Courier assigned."
        return HistoryEntry(
            version=version,
            at=at,
            type="courier_assigned",
            text=text,
            by=by,
            device=device,
            previous=event.instead_of,
            courier_id=event.courier_id,
        )
    if isinstance(event, Erased):
        text = f"Personal data of the {event.whose.value} erased."
        return HistoryEntry(version=version, at=at, type="erased", text=text, by=by, device=device)
    return _sample_entry(event, at, meta)


def _sample_entry(event: PositionSampled, at: str, meta: Meta) -> HistoryEntry:
    return HistoryEntry(
        version=meta.version,
        at=at,
        type="position_sampled",
        text="Courier on the way.",
        by=meta.actor,
        device=meta.device,
        position=position_view(event),
    )

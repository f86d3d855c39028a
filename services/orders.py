"""Orders after their placement: status, courier, position, history, tracking, lists, figures."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.order_commands import AssignCourier, Cancel, ReportPosition, SetStatus
from actors.order_history import HistoryEntry, history_entry
from actors.order_state import PositionSampled
from actors.order_views import PositionView, position_view
from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from domain.money import Money
from services.access.check import require
from services.access.orders import permitted, require_merchant
from services.access.policy import Permission
from services.entities import ORDER, Answered, Entities, Sender, send
from services.history import History
from services.listings import Listings, OrderFilter, Place, StatusCount
from services.tokens import Tokens

_Raw = msgspec.Raw


class _Parties(msgspec.Struct):
    user_id: str
    merchant_id: str
    courier_id: str = ""


class _Tracked(msgspec.Struct, omit_defaults=True):
    """The part of an order's view that shows where it is."""

    id: str
    status: str
    closed: bool
    version: int
    fulfilment: str
    timeline: _Raw
    placed_at: str
    updated_at: str
    courier_id: str = ""
    accept_by: str = ""
    position: _Raw | msgspec.UnsetType = msgspec.UNSET


TRACKED_FIELDS: Final = frozenset(_Tracked.__struct_fields__)
"""Of an order's view, what whoever has its share link may see: no address, no instructions, no lines, no user."""


class Tracking(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where an order is. `trail` is the journaled sample of positions, oldest first."""

    order_id: str
    status: str
    closed: bool
    version: int
    fulfilment: str
    timeline: _Raw
    placed_at: str
    updated_at: str
    trail: tuple[PositionView, ...]
    courier_id: str = ""
    accept_by: str = ""
    position: _Raw | msgspec.UnsetType = msgspec.UNSET


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """A merchant's orders in figures. `sales` leaves out what was rejected, cancelled or expired."""

    merchant_id: str
    orders_count: int
    open_count: int
    by_status: tuple[StatusCount, ...]
    sales: tuple[Money, ...]


_see_parties = msgspec.json.Decoder(_Parties).decode
_see_tracked = msgspec.json.Decoder(_Tracked).decode

_LOST = frozenset({"rejected", "cancelled", "expired"})
_DONE = _LOST | {"fulfilled", "completed"}


class Orders:
    def __init__(self, entities: Entities, history: History, listings: Listings, tokens: Tokens) -> None:
        self._entities = entities
        self._history = history
        self._listings = listings
        self._tokens = tokens

    async def get(self, actor: Actor, order_id: str, correlation: str = "") -> Answered:
        return await self._entities.read(ORDER, order_id, actor=actor, want=VIEW_JSON, correlation=correlation)

    async def set_status(
        self,
        sender: Sender,
        order_id: str,
        to: str,
        *,
        from_: str = "",
        reason: str = "",
        out_of_stock_lines: Sequence[str] = (),
    ) -> Answered:
        command = SetStatus(to=to, from_=from_, reason=reason, out_of_stock_lines=tuple(out_of_stock_lines))
        return await self._ask(sender, order_id, command)

    async def cancel(self, sender: Sender, order_id: str, reason: str = "") -> Answered:
        return await self._ask(sender, order_id, Cancel(reason))

    async def assign_courier(self, sender: Sender, order_id: str, courier_id: str = "") -> Answered:
        """Staff name a courier; a courier claims for themself."""
        return await self._ask(sender, order_id, AssignCourier(courier_id))

    async def report_position(self, sender: Sender, order_id: str, position: ReportPosition) -> Answered:
        return await self._ask(sender, order_id, position)

    async def history(self, actor: Actor, order_id: str, correlation: str = "") -> list[HistoryEntry]:
        """What happened, oldest first, to whoever may see the order."""
        answer = await self.get(actor, order_id, correlation)
        rows = await self._history.of(ORDER, order_id, upto=answer.version)
        return [history_entry(event, row.meta) for row in rows for event in row.events]

    async def tracking(self, actor: Actor, order_id: str, correlation: str = "") -> Tracking:
        answer = await self.get(actor, order_id, correlation)
        seen = _see_tracked(answer.view)
        trail: tuple[PositionView, ...] = ()
        if seen.position is not msgspec.UNSET:
            rows = await self._history.of(ORDER, order_id, upto=answer.version)
            events = (event for row in rows for event in row.events)
            trail = tuple(position_view(event) for event in events if isinstance(event, PositionSampled))
        return Tracking(
            order_id=seen.id,
            status=seen.status,
            closed=seen.closed,
            version=seen.version,
            fulfilment=seen.fulfilment,
            timeline=seen.timeline,
            placed_at=seen.placed_at,
            updated_at=seen.updated_at,
            trail=trail,
            courier_id=seen.courier_id,
            accept_by=seen.accept_by,
            position=seen.position,
        )

    async def share(self, actor: Actor, order_id: str, correlation: str = "") -> tuple[str, int]:
        """A share token and its expiry (epoch seconds), for the customer and the merchant's staff only."""
        parties = _see_parties((await self.get(actor, order_id, correlation)).view)
        require(actor, Permission.ORDER_SHARE, organization_id=parties.merchant_id, person=parties.user_id)
        return self._tokens.issue_share(order_id)

    async def list(
        self, actor: Actor, wanted: OrderFilter, after: Place | None, limit: int
    ) -> tuple[Sequence[Any], Place | None]:
        """A page, and where the next one begins (None: this is the last)."""
        rows = await self._listings.orders(permitted(actor, wanted), after, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit], None if last is None else Place(last.placed_at_ms, last.id)

    async def stats(self, actor: Actor, wanted: OrderFilter) -> Stats:
        """Figures of `wanted.merchant_id`, for its staff."""
        require_merchant(actor, wanted.merchant_id)
        counts = await self._listings.order_counts(wanted)
        sales: dict[str, int] = {}
        for each in counts:
            if each.status not in _LOST:
                sales[each.total.currency] = sales.get(each.total.currency, 0) + each.total.amount
        return Stats(
            wanted.merchant_id,
            sum(each.count for each in counts),
            sum(each.count for each in counts if each.status not in _DONE),
            tuple(counts),
            tuple(Money(amount, currency) for currency, amount in sorted(sales.items())),
        )

    async def _ask(self, sender: Sender, order_id: str, command: Any) -> Answered:
        return await send(self._entities, ORDER, order_id, sender, command)

"""Orders: whole, as they are listed, their history, where they are, and a merchant's figures."""

from typing import Any

import msgspec
import strawberry

from actors.order_commands import Address as AddressStruct
from actors.order_history import HistoryEntry
from actors.order_status import OrderStatus as OrderStatusKind
from actors.order_views import OrderView, PositionView, StampView
from domain.errors import NotFound, Unauthenticated, invalid_field
from domain.times import MOMENT_MS_MAX, from_rfc3339
from serve.graphql.carts import Line, lines_of
from serve.graphql.connections import FIRST, connection, first_of
from serve.graphql.context import Context, Info, computed, known_id, reads
from serve.graphql.derive import Moment, Shown, enumerated, keyed, shape, shows
from serve.graphql.links import read_order, to_cart, to_merchant, to_order
from serve.platform.pages import place_of
from services.listings import OrderEntry as OrderRow
from services.listings import OrderFilter, Place
from services.listings import StatusCount as StatusCountRow
from services.orders import Stats, Tracking

OrderStatus = enumerated(OrderStatusKind)


async def read_history(context: Context, order_id: str) -> Shown:
    entries = await context.runtime.orders.history(context.actor, order_id, context.correlation)
    return {"items": msgspec.to_builtins(entries)}


async def read_tracking(context: Context, order_id: str) -> Shown:
    return _tracked(await context.runtime.orders.tracking(context.actor, order_id, context.correlation))


def _tracked(tracking: Tracking) -> Shown:
    shown: Shown = msgspec.json.decode(msgspec.json.encode(tracking))
    return shown


async def _history(root: Shown, info: Info) -> list[Shown]:
    """Everything that happened, oldest first."""
    found = await info.context.load(read_history, root["id"])
    entries: list[Shown] = found["items"]
    return entries


async def _tracking(root: Shown, info: Info) -> Shown:
    """Where the order is, with the way that the courier took."""
    return await info.context.load(read_tracking, root["id"])


@shows(StampView)
class OrderStamp:
    """When an order came to a status, and by whom: a user id or `system`."""

    status: str


@shows(PositionView)
class Position:
    """Degrees (WGS 84), metres, degrees clockwise from north."""


@shows(AddressStruct)
class DeliveryAddress:
    """Where to deliver."""


@shows(HistoryEntry, Position)
class OrderHistoryEntry:
    """One thing that happened; `text` says it in a sentence."""


_TIMELINE: Any = keyed("timeline", "status")


@shows(Tracking, Position)
class OrderTracking:
    """Where an order is. `trail` is the recorded sample of positions, oldest first."""

    timeline = computed(_TIMELINE, list[OrderStamp])
    position: Position | None


@shows(OrderView, DeliveryAddress, Position)
class Order:
    """What was ordered, frozen at placement, and how far it has come."""

    lines = computed(lines_of, list[Line])
    timeline = computed(_TIMELINE, list[OrderStamp])
    merchant = to_merchant()
    cart = to_cart()
    history = reads("orders", _history, list[OrderHistoryEntry])
    tracking = reads("orders", _tracking, OrderTracking)


@shows(OrderRow, leave_out=("currency",))
class OrderEntry:
    """An order as it is listed."""

    merchant = to_merchant()
    order = to_order("id")


@shows(StatusCountRow)
class StatusCount:
    """How many orders have a status, and their sum."""


@shows(Stats, StatusCount)
class OrderStats:
    """A merchant's orders in figures. `sales` leaves out rejected, cancelled and expired orders."""


async def order(info: Info, id: strawberry.ID) -> Shown:
    """An order, for its customer, its merchant's staff and its courier."""
    return await info.context.load(read_order, known_id(id))


async def orders(
    info: Info,
    user_id: strawberry.ID | None = None,
    merchant_id: strawberry.ID | None = None,
    courier_id: strawberry.ID | None = None,
    status: list[OrderStatus] | None = None,  # type: ignore[valid-type]
    since: Moment | None = None,
    until: Moment | None = None,
    first: int = FIRST,
    after: str | None = None,
) -> Shown:
    """Orders, newest first: your own, or those of a merchant or courier that you are. `until` is exclusive."""
    context, limit = info.context, first_of(info, first)
    since_ms, until_ms = _window(since, until)
    wanted = OrderFilter(
        user_id=user_id or "",
        merchant_id=merchant_id or "",
        courier_id=courier_id or "",
        statuses=tuple(OrderStatusKind(each) for each in dict.fromkeys(status or [])),
        since_ms=since_ms,
        until_ms=until_ms,
    )
    rows, last = await context.runtime.orders.list(context.actor, wanted, place_of(after), limit)
    places = [Place(row.placed_at_ms, row.id) for row in rows]
    return connection([shape(row) for row in rows], places, more=last is not None)


async def order_stats(
    info: Info, merchant_id: strawberry.ID, since: Moment | None = None, until: Moment | None = None
) -> Shown:
    """A merchant's orders in figures, for its staff."""
    since_ms, until_ms = _window(since, until)
    wanted = OrderFilter(merchant_id=known_id(merchant_id), since_ms=since_ms, until_ms=until_ms)
    shown: Shown = msgspec.to_builtins(await info.context.runtime.orders.stats(info.context.actor, wanted))
    return shown


async def tracking(info: Info, order_id: strawberry.ID, share: str | None = None) -> Shown:
    """Where an order is: as who you are, or with a share link's token."""
    context, order_id = info.context, strawberry.ID(known_id(order_id))
    if share is None:
        if not context.actor.subject:
            raise Unauthenticated("An access token or a share link is required.", code="token_missing")
        return await context.load(read_tracking, order_id)
    shared = context.runtime.tokens.verify_share(share)
    if shared.order_id != order_id:
        raise NotFound("There is no such order.")
    return _tracked(await context.runtime.orders.tracking(shared.actor, order_id, context.correlation))


def _window(since: Moment | None, until: Moment | None) -> tuple[int, int]:
    """Milliseconds, 0 for none. What lies outside the times that a timestamp can say is as far as one goes."""
    since_ms = 0 if since is None else min(max(0, from_rfc3339(since)), MOMENT_MS_MAX)
    until_ms = 0 if until is None else min(max(1, from_rfc3339(until)), MOMENT_MS_MAX)
    if until_ms and since_ms > until_ms:
        raise invalid_field("until", "before_since", "Must not be before `since`.")
    return since_ms, until_ms

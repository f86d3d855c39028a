"""Orders over HTTP. Every mutation takes `Idempotency-Key` and `If-Match` and answers with the order."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from actors import order_commands
from actors.order_history import HistoryEntry
from actors.order_status import Fulfilment, OrderStatus
from domain.errors import NotFound, invalid_field
from domain.times import MOMENT_MS_MAX, SECOND_MS, from_datetime, from_rfc3339, to_rfc3339
from serve.orders import schemas
from serve.orders.listing import listed
from serve.platform.answers import read_answer, replayed, sender_of, view_answer
from serve.platform.call import Answer, Call, etag, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import page, place_of
from serve.platform.routing import Id, entity_router, problems, public_router
from services.listings import OrderFilter
from services.placement import Wanted

router = entity_router("/orders", "orders")
public = public_router("/orders", "orders")

_UNKNOWN = {"_404": "Unknown, or not yours."}
_WRONG_STATE = {"_409": "The order is in another state: `current` says which.", "_412": "`If-Match` is stale."}
_BAD = {"_422": "The request is not valid: `errors` has field paths."}
_MUTATION = problems(_403="Yours to see, not yours to do.", **_UNKNOWN, **_WRONG_STATE, **_BAD)


class _Shared(msgspec.Struct):
    token: str
    expires_at: str
    tracking_url: str
    live_url: str


class _History(msgspec.Struct):
    items: list[HistoryEntry]


@router.post(
    "/create",
    status_code=201,
    response_model=schemas.Order,
    responses={
        200: {"model": schemas.Order, "description": "It had been placed from this cart before."},
        **problems(
            _404="No such cart, or not yours.",
            _409="The cart cannot be ordered as it is: `code` and `current` say why.",
            _412="`If-Match` is stale.",
            **_BAD,
        ),
    },
)
async def create_order(call: Call, body: schemas.CreateOrder) -> Answer:
    """Order a cart, exactly once: pressed twice, also on two devices, it gives one order. `If-Match` is the cart's."""
    wanted = Wanted(
        fulfilment=Fulfilment(body.fulfilment),
        payment_method=body.payment_method,
        address=None if body.address is None else order_commands.Address(**body.address.model_dump()),
        instructions=body.instructions,
        expected_total_minor=None if body.expected_total is None else body.expected_total.amount,
    )
    key = call.idempotency_key() or ""
    placed = await call.runtime.placements.place(sender_of(call), body.cart_id, wanted, key)
    status = HTTPStatus.OK if placed.repeated else HTTPStatus.CREATED
    headers = [
        (b"etag", etag(placed.answer.version)),
        (b"location", f"{API_PREFIX}/orders/{placed.order_id}".encode()),
        *replayed(placed.repeated),
    ]
    return Answer(placed.answer.view, status, headers)


@router.get("", response_model=schemas.OrderPage, responses=problems(**_UNKNOWN, **_BAD))
async def list_orders(call: Call, query: Annotated[schemas.OrderList, Query()]) -> Answer:
    """Orders, newest first: your own, or those of a merchant or courier that you are."""
    wanted = OrderFilter(
        user_id=query.user_id or "",
        merchant_id=query.merchant_id or "",
        courier_id=query.courier_id or "",
    )
    return await _list(call, wanted, query)


@router.get("/user/{user_id}", response_model=schemas.OrderPage, responses=problems(**_UNKNOWN, **_BAD))
async def list_orders_of_user(call: Call, user_id: str, query: Annotated[schemas.OrdersOfUser, Query()]) -> Answer:
    """A user's orders, newest first: your own only, unless you are an admin."""
    if not user_id.isprintable():
        raise NotFound("There is no such list of orders.")
    return await _list(call, OrderFilter(user_id=user_id), query)


@router.get("/stats", response_model=schemas.Stats, responses=problems(**_UNKNOWN, **_BAD))
async def order_stats(call: Call, query: Annotated[schemas.StatsQuery, Query()]) -> Answer:
    """A merchant's orders in figures, for its staff."""
    since, until = _moments(query)
    wanted = OrderFilter(merchant_id=query.merchant_id, since_ms=since, until_ms=until)
    return json_answer(await call.runtime.orders.stats(call.actor, wanted))


@router.get("/{order_id}", response_model=schemas.Order, responses=problems(**_UNKNOWN))
async def get_order(call: Call, order_id: Id) -> Answer:
    return read_answer(call, await call.runtime.orders.get(call.actor, order_id, call.correlation))


@router.put("/{order_id}/status", response_model=schemas.Order, responses=_MUTATION)
async def set_status(call: Call, order_id: Id, body: schemas.SetStatus) -> Answer:
    """Move the order along. Being there already is no error."""
    answer = await call.runtime.orders.set_status(
        sender_of(call),
        order_id,
        body.status.value,
        from_="" if body.from_ is None else body.from_.value,
        reason=body.reason,
        out_of_stock_lines=body.out_of_stock_lines,
    )
    return view_answer(answer)


@router.post("/{order_id}/cancel", response_model=schemas.Order, responses=_MUTATION)
async def cancel_order(call: Call, order_id: Id, body: schemas.CancelOrder) -> Answer:
    """The customer before acceptance; the merchant, with a reason, until pick-up."""
    return view_answer(await call.runtime.orders.cancel(sender_of(call), order_id, body.reason))


@router.post("/{order_id}/courier", response_model=schemas.Order, responses=_MUTATION)
async def assign_courier(call: Call, order_id: Id, body: schemas.AssignCourier) -> Answer:
    """Staff name a courier; a courier claims a ready delivery. The first claim wins."""
    return view_answer(await call.runtime.orders.assign_courier(sender_of(call), order_id, body.courier_id or ""))


@router.post("/{order_id}/location", response_model=schemas.Order, responses=_MUTATION)
async def report_position(call: Call, order_id: Id, body: schemas.ReportPosition) -> Answer:
    """The courier's position on the way: shown live, recorded as a thin trail."""
    position = order_commands.ReportPosition(
        lat=body.lat,
        lon=body.lon,
        accuracy_m=body.accuracy_m,
        heading=body.heading,
        at_ms=0 if body.at is None else from_rfc3339(body.at),
    )
    return view_answer(await call.runtime.orders.report_position(sender_of(call), order_id, position))


@router.get("/{order_id}/history", response_model=schemas.History, responses=problems(**_UNKNOWN))
async def get_history(call: Call, order_id: Id) -> Answer:
    """Everything that happened, oldest first."""
    return json_answer(_History(await call.runtime.orders.history(call.actor, order_id, call.correlation)))


@router.post("/{order_id}/share", status_code=201, response_model=schemas.Share, responses=_MUTATION)
async def share_order(call: Call, order_id: Id) -> Answer:
    """A link for following this order without a login."""
    token, expires = await call.runtime.orders.share(call.actor, order_id, call.correlation)
    path = f"{API_PREFIX}/orders/{order_id}"
    shared = _Shared(
        token, to_rfc3339(expires * SECOND_MS), f"{path}/tracking?share={token}", f"{path}/track?share={token}"
    )
    return json_answer(shared, HTTPStatus.CREATED)


@public.get(
    "/{order_id}/tracking",
    response_model=schemas.Tracking,
    responses=problems(_401="Neither an access token nor a share link that holds.", **_UNKNOWN),
)
async def get_tracking(call: Call, order_id: Id, query: Annotated[schemas.ShareQuery, Query()]) -> Answer:
    """Where the order is: with an access token, or with the share link's token."""
    if query.share is None:
        await call.authenticate()
    else:
        shared = call.runtime.tokens.verify_share(query.share)
        if shared.order_id != order_id:
            raise NotFound("There is no such order.")
        call.actor = shared.actor
    tracking = await call.runtime.orders.tracking(call.actor, order_id, call.correlation)
    return json_answer(tracking, headers=[(b"etag", etag(tracking.version))])


async def _list(call: Call, party: OrderFilter, query: schemas.OrdersOfUser) -> Answer:
    since, until = _moments(query)
    statuses = tuple(OrderStatus(status) for status in query.status)
    wanted = msgspec.structs.replace(party, statuses=statuses, since_ms=since, until_ms=until)
    rows, after = await call.runtime.orders.list(call.actor, wanted, place_of(query.cursor), query.limit)
    return page([listed(row) for row in rows], after)


def _moments(query: schemas.OrderWindow) -> tuple[int, int]:
    """Milliseconds, 0 for none. What lies outside the times that a timestamp can say is as far as one goes."""
    since = 0 if query.since is None else min(max(0, from_datetime(query.since)), MOMENT_MS_MAX)
    until = 0 if query.until is None else min(max(1, from_datetime(query.until)), MOMENT_MS_MAX)
    if until and since > until:
        raise invalid_field("until", "before_since", "Must not be before `since`.")
    return since, until

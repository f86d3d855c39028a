"""Carts over HTTP. Every mutation takes `Idempotency-Key` and `If-Match` and answers with the cart."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.errors import NotFound, Unauthenticated, invalid_field
from domain.ids import derived_id, new_id
from domain.times import to_rfc3339
from serve.carts.schemas import AddItem, Cart, CartList, CartPage, CreateCart, MergeCart, SetItem
from serve.platform.answers import read_answer, sender_of, versioned, view_answer
from serve.platform.call import Answer, Call
from serve.platform.edge import API_PREFIX
from serve.platform.pages import page, place_of
from serve.platform.routing import Id, entity_router, problems
from serve.platform.schemas import Line
from services.listings import Place

router = entity_router("/carts", "carts")

_UNKNOWN = {"_404": "Unknown, or not yours."}
_WRONG_STATE = {"_409": "The cart is in another state: `current` says which.", "_412": "`If-Match` is stale."}
_BAD = {"_422": "The request is not valid: `errors` has field paths."}
_MUTATION = problems(**_UNKNOWN, **_WRONG_STATE, **_BAD)


class _Lines(msgspec.Struct):
    lines: dict[str, msgspec.Raw]


class _CartListed(msgspec.Struct, omit_defaults=True):
    id: str
    status: str
    created_at: str
    updated_at: str
    merchant_id: str = ""


_lines_of = msgspec.json.Decoder(_Lines).decode


@router.post("/{cart_id}/items", status_code=201, response_model=Cart, responses=_MUTATION)
async def add_item(call: Call, cart_id: Id, body: AddItem) -> Answer:
    """Add a product at its catalog price. The same choice again raises the quantity of its line."""
    answer = await call.runtime.carts.add_item(
        sender_of(call), cart_id, body.product_id, body.quantity, body.options, body.instructions
    )
    line_id = "" if answer.data is None else answer.data["line_id"]
    return view_answer(answer, HTTPStatus.CREATED, f"{API_PREFIX}/carts/{cart_id}/items/{line_id}")


@router.get("/{cart_id}", response_model=Cart, responses=problems(**_UNKNOWN))
async def get_cart(call: Call, cart_id: Id) -> Answer:
    """The cart. Prices older than their time are renewed first, with a notice where they changed."""
    return read_answer(call, await call.runtime.carts.get(call.actor, cart_id, call.correlation))


@router.post("/create", status_code=201, response_model=Cart, responses=problems(_404="No such merchant.", **_BAD))
async def create_cart(call: Call, body: CreateCart) -> Answer:
    """Open a cart. With an `Idempotency-Key`, a repeat gives the same cart."""
    runtime, key = call.runtime, call.idempotency_key()
    cart_id = new_id() if key is None else derived_id("cart", call.actor.subject, key)
    currency = body.currency
    if body.merchant_id is not None:
        currency = currency or (await runtime.catalog.merchant(body.merchant_id)).currency
    answer = await runtime.carts.create(sender_of(call), cart_id, currency or "", body.merchant_id or "")
    return view_answer(answer, HTTPStatus.CREATED, f"{API_PREFIX}/carts/{cart_id}")


@router.get("", response_model=CartPage, responses=problems(**_BAD))
async def list_carts(call: Call, query: Annotated[CartList, Query()]) -> Answer:
    """Your carts, newest first."""
    statuses = ("open", "checking_out") if query.status is None else (query.status.value,)
    rows = await call.runtime.listings.carts(call.actor.subject, statuses, place_of(query.cursor), query.limit + 1)
    items = [
        _CartListed(row.id, row.status, to_rfc3339(row.created_at_ms), to_rfc3339(row.updated_at_ms), row.merchant_id)
        for row in rows[: query.limit]
    ]
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    return page(items, None if last is None else Place(last.created_at_ms, last.id))


@router.delete("/{cart_id}", status_code=204, responses=problems(**_UNKNOWN, **_WRONG_STATE))
async def delete_cart(call: Call, cart_id: Id) -> Answer:
    """Give the cart up; it is unknown from then on."""
    await call.runtime.carts.delete(sender_of(call), cart_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


@router.get("/{cart_id}/items/{item_id}", response_model=Line, responses=problems(**_UNKNOWN))
async def get_item(call: Call, cart_id: Id, item_id: str) -> Answer:
    answer = await call.runtime.carts.get(call.actor, cart_id, call.correlation)
    line = _lines_of(answer.view).lines.get(item_id)
    if line is None:
        raise NotFound("The cart has no such line.", code="line_not_found")
    return versioned(call, answer.version, bytes(line))


@router.put("/{cart_id}/items/{item_id}", response_model=Cart, responses=_MUTATION)
async def set_item(call: Call, cart_id: Id, item_id: str, body: SetItem) -> Answer:
    """Change a line's quantity, options or instructions. Becoming like another line, it joins that one."""
    answer = await call.runtime.carts.set_item(
        sender_of(call), cart_id, item_id, body.quantity, body.options, body.instructions
    )
    return view_answer(answer)


@router.delete("/{cart_id}/items/{item_id}", response_model=Cart, responses=_MUTATION)
async def remove_item(call: Call, cart_id: Id, item_id: str) -> Answer:
    """Remove a line. One that is gone already is no error."""
    return view_answer(await call.runtime.carts.remove_item(sender_of(call), cart_id, item_id))


@router.post("/{cart_id}/clear", response_model=Cart, responses=_MUTATION)
async def clear_cart(call: Call, cart_id: Id) -> Answer:
    """Remove all lines."""
    return view_answer(await call.runtime.carts.clear(sender_of(call), cart_id))


@router.post("/{cart_id}/notices/dismiss", response_model=Cart, responses=_MUTATION)
async def dismiss_notices(call: Call, cart_id: Id) -> Answer:
    """The customer has seen the new prices."""
    return view_answer(await call.runtime.carts.dismiss_notices(sender_of(call), cart_id))


@router.post("/{cart_id}/merge", response_model=Cart, responses=_MUTATION)
async def merge_cart(call: Call, cart_id: Id, body: MergeCart) -> Answer:
    """Take over a guest's cart after signing in; the guest's quantities replace those of the same lines."""
    try:
        guest = call.runtime.tokens.verify(body.source_token).actor
    except Unauthenticated as error:
        raise invalid_field("source_token", error.failure.code, error.failure.detail) from None
    answer = await call.runtime.carts.merge(sender_of(call), cart_id, guest, body.source_cart_id, replace=body.replace)
    return view_answer(answer)

"""The peer to beat: carts as plain FastAPI + SQLAlchemy, one row lock per cart.

Written as a competent engineer would: typed ORM models, async driver, one transaction a request, the row
lock taken late and held briefly, prices looked up before it, tokens verified once and remembered until they
expire, idempotency keys stored with their response in the same transaction.

Settings come from the environment of the uvicorn workers: `CRUD_DATABASE_URL`, `CRUD_PUBLIC_KEY` (PEM text),
`CRUD_ISSUER` and `CRUD_AUDIENCE` (unchecked when empty), `CRUD_POOL_SIZE` per worker.
"""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload

from loadtests.baselines.crud_schema import Cart, CartLine, IdempotencyKey, Product, engine_for

LINE_QUANTITY_MAX: Final = 999
CART_LINES_MAX: Final = 200
VERIFIED_TOKENS_MAX: Final = 10_000

_PUBLIC_KEY = os.environ.get("CRUD_PUBLIC_KEY", "")
_ISSUER = os.environ.get("CRUD_ISSUER") or None
_AUDIENCE = os.environ.get("CRUD_AUDIENCE") or None
_POOL_SIZE = int(os.environ.get("CRUD_POOL_SIZE", "5"))
_engine = engine_for(
    os.environ.get("CRUD_DATABASE_URL", "postgresql://localhost/atrium"),
    pool_size=_POOL_SIZE,
)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)
_turns = asyncio.Semaphore(_POOL_SIZE)  # first come, first served: the pool itself lets newcomers overtake
_verified: dict[str, tuple[float, str]] = {}


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await _engine.dispose()


app = FastAPI(title="CRUD baseline", lifespan=_lifespan)


class Money(BaseModel):
    amount: int
    currency: str


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_id: uuid.UUID
    quantity: Annotated[int, Field(ge=1, le=LINE_QUANTITY_MAX)] = 1
    options: Annotated[list[str], Field(max_length=20)] = []
    instructions: Annotated[str, Field(max_length=500)] = ""


class LineView(BaseModel):
    id: uuid.UUID
    product_id: uuid.UUID
    name: str
    quantity: int
    unit_price: Money
    total: Money


class CartView(BaseModel):
    id: uuid.UUID
    version: int
    status: str
    merchant_id: uuid.UUID
    items: dict[uuid.UUID, LineView]
    subtotal: Money


def current_subject(authorization: Annotated[str, Header()] = "") -> str:
    """The verified token's subject. 401 for anything that is not a valid RS256 bearer token."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "a bearer token is required")
    known = _verified.get(token)
    if known is not None and known[0] > time.time():
        return known[1]
    try:
        claims = jwt.decode(
            token,
            _PUBLIC_KEY,
            algorithms=["RS256"],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            options={"require": ["exp", "sub"], "verify_aud": _AUDIENCE is not None},
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "the token is not valid") from error
    if len(_verified) >= VERIFIED_TOKENS_MAX:
        _verified.clear()
    _verified[token] = (float(claims["exp"]), str(claims["sub"]))
    return str(claims["sub"])


async def transaction() -> AsyncIterator[AsyncSession]:
    """One request, one transaction, committed before the answer leaves."""
    async with _turns, _sessions() as session:
        yield session


Subject = Annotated[str, Depends(current_subject)]
Session = Annotated[AsyncSession, Depends(transaction, scope="function")]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=255)]


def _view(cart: Cart) -> CartView:
    currency = cart.currency
    return CartView(
        id=cart.id,
        version=cart.version,
        status=cart.status,
        merchant_id=cart.merchant_id,
        items={
            line.id: LineView(
                id=line.id,
                product_id=line.product_id,
                name=line.name,
                quantity=line.quantity,
                unit_price=Money(amount=line.unit_price_minor, currency=currency),
                total=Money(amount=line.line_total_minor, currency=currency),
            )
            for line in cart.lines
        },
        subtotal=Money(amount=cart.subtotal_minor, currency=currency),
    )


async def _locked_cart(session: AsyncSession, cart_id: uuid.UUID, subject: str) -> Cart:
    statement = select(Cart).where(Cart.id == cart_id).options(selectinload(Cart.lines)).with_for_update()
    cart = (await session.scalars(statement)).one_or_none()
    if cart is None or cart.owner != subject:
        raise HTTPException(404, "no such cart")
    if cart.status != "open":
        raise HTTPException(409, f"the cart is {cart.status}")
    return cart


async def _replayed(session: AsyncSession, subject: str, key: str, digest: bytes) -> dict[str, Any] | None:
    if not key:
        return None
    stored = await session.get(IdempotencyKey, (subject, key))
    if stored is None:
        return None
    if stored.body_hash != digest:
        raise HTTPException(422, "the key was used with another body")
    return stored.response


async def _finish(session: AsyncSession, cart: Cart, subject: str, key: str, digest: bytes) -> CartView:
    """Recompute the totals, bump the version, keep the response under its key, commit."""
    cart.subtotal_minor = sum(line.line_total_minor for line in cart.lines)
    cart.version += 1
    cart.updated_at = func.now()
    view = _view(cart)
    if key:
        stored = IdempotencyKey(owner=subject, key=key, body_hash=digest, response=view.model_dump(mode="json"))
        session.add(stored)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(409, "the same request is being processed", {"Retry-After": "1"}) from error
    return view


@app.get("/carts/{cart_id}")
async def read_cart(cart_id: uuid.UUID, subject: Subject, session: Session) -> CartView:
    statement = select(Cart).where(Cart.id == cart_id).options(selectinload(Cart.lines))
    cart = (await session.scalars(statement)).one_or_none()
    if cart is None or cart.owner != subject:
        raise HTTPException(404, "no such cart")
    return _view(cart)


@app.post("/carts/{cart_id}/items", status_code=201)
async def add_item(
    cart_id: uuid.UUID, item: NewItem, request: Request, subject: Subject, session: Session, key: Key = ""
) -> CartView:
    digest = hashlib.sha256(await request.body()).digest()
    replayed = await _replayed(session, subject, key, digest)
    if replayed is not None:
        return CartView.model_validate(replayed)
    product = await session.get(Product, item.product_id)
    if product is None or not product.available:
        raise HTTPException(422, "no such product")
    cart = await _locked_cart(session, cart_id, subject)
    if product.merchant_id != cart.merchant_id:
        raise HTTPException(409, "the cart belongs to another merchant")
    line = next((line for line in cart.lines if line.product_id == product.id), None)
    if line is None:
        if len(cart.lines) >= CART_LINES_MAX:
            raise HTTPException(422, "the cart is full")
        line = CartLine(
            id=uuid.uuid4(),
            product_id=product.id,
            name=product.name,
            quantity=0,
            unit_price_minor=product.price_minor,
        )
        cart.lines.append(line)
    if line.quantity + item.quantity > LINE_QUANTITY_MAX:
        raise HTTPException(422, "too many of one product")
    line.quantity += item.quantity
    line.line_total_minor = line.quantity * line.unit_price_minor
    return await _finish(session, cart, subject, key, digest)


@app.post("/carts/{cart_id}/clear")
async def clear(cart_id: uuid.UUID, subject: Subject, session: Session, key: Key = "") -> CartView:
    digest = hashlib.sha256(b"").digest()
    replayed = await _replayed(session, subject, key, digest)
    if replayed is not None:
        return CartView.model_validate(replayed)
    cart = await _locked_cart(session, cart_id, subject)
    cart.lines.clear()
    return await _finish(session, cart, subject, key, digest)

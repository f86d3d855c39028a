"""Tables of the CRUD baseline, in a schema of their own beside Atrium's."""

import datetime as dt
import uuid
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, ForeignKey, LargeBinary, MetaData, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import CreateSchema, DropSchema

SCHEMA: Final = "crud_baseline"


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA)


class Product(Base):
    __tablename__ = "products"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[uuid.UUID] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(200))
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    available: Mapped[bool]


class Cart(Base):
    __tablename__ = "carts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), index=True)
    merchant_id: Mapped[uuid.UUID]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(20), default="open")
    version: Mapped[int] = mapped_column(default=1)
    subtotal_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    updated_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    lines: Mapped[list["CartLine"]] = relationship(
        back_populates="cart", cascade="all, delete-orphan", order_by="CartLine.added_at"
    )


class CartLine(Base):
    __tablename__ = "cart_lines"
    __table_args__ = (UniqueConstraint("cart_id", "product_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cart_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(f"{SCHEMA}.carts.id", ondelete="CASCADE"))
    product_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(f"{SCHEMA}.products.id"))
    name: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int]
    unit_price_minor: Mapped[int] = mapped_column(BigInteger)
    line_total_minor: Mapped[int] = mapped_column(BigInteger)
    added_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    cart: Mapped[Cart] = relationship(back_populates="lines")


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


def engine_for(database_url: str, *, pool_size: int = 5) -> AsyncEngine:
    """An asyncpg engine for a plain `postgresql://` URL with at most `pool_size` connections."""
    url = "postgresql+asyncpg://" + database_url.split("://", 1)[1]
    return create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=60)


async def recreate(engine: AsyncEngine) -> None:
    """Drop the baseline's schema if it is there and make it anew, empty."""
    async with engine.begin() as connection:
        await connection.execute(DropSchema(SCHEMA, cascade=True, if_exists=True))
        await connection.execute(CreateSchema(SCHEMA))
        await connection.run_sync(Base.metadata.create_all)


async def remove(database_url: str) -> None:
    """Drop the baseline's schema: its dead rows would have autovacuum work during whatever comes next."""
    engine = engine_for(database_url)
    async with engine.begin() as connection:
        await connection.execute(DropSchema(SCHEMA, cascade=True))
    await engine.dispose()

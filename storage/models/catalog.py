"""What is sold, and by whom. Plain tables; money in minor units."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Id, Int, Json, Label, Moment


class Organization(Base):
    """A merchant, clinic or organizer, and its terms of sale. While it is not `active` nobody acts for it.

    `version` rises with each change of what is shown of it.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("kind IN ('merchant', 'clinic', 'organizer')", name="kind"),
        CheckConstraint("accept_within_ms > 0", name="accept_within"),
        Index(None, "kind", "country", "city", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[Label]
    name: Mapped[Label]
    currency: Mapped[Label]
    city: Mapped[Label] = mapped_column(server_default="")
    country: Mapped[Label] = mapped_column(server_default="")
    time_zone: Mapped[Label] = mapped_column(server_default="UTC")
    accept_within_ms: Mapped[Int] = mapped_column(server_default=text("600000"))
    service_fee_minor: Mapped[Big] = mapped_column(server_default=text("0"))
    delivery_fee_minor: Mapped[Big] = mapped_column(server_default=text("0"))
    minimum_order_minor: Mapped[Big] = mapped_column(server_default=text("0"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[Big] = mapped_column(server_default=text("1"))
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Moment] = mapped_column(server_default=text("now()"))


class Product(Base):
    """One thing on a merchant's menu.

    `options`: groups `{id, name, min, max, options: [{id, name, price_minor}]}`; `min`/`max` bound how many
    of the group's options a line chooses.
    """

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_minor >= 0", name="price"),
        CheckConstraint("max_quantity > 0", name="max_quantity"),
        Index("uq_products_merchant_id_sku", "merchant_id", "sku", unique=True, postgresql_where=text("sku <> ''")),
        Index(None, "merchant_id", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    merchant_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[Label]
    sku: Mapped[Label] = mapped_column(server_default="")
    category: Mapped[Label] = mapped_column(server_default="")
    price_minor: Mapped[Big]
    currency: Mapped[Label]
    options: Mapped[Json] = mapped_column(server_default=text("'[]'::jsonb"))
    max_quantity: Mapped[Int] = mapped_column(server_default=text("99"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Moment] = mapped_column(server_default=text("now()"))

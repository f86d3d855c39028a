"""Bodies and documentation of products."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from actors.cart_state import NAME_LENGTH_MAX, QUANTITY_MAX
from serve.platform.schemas import Body, Money, PageQuery, Price, UuidText

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S")]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._\-]{1,64}$")]
"""A merchant's own key of an option."""


class Option(Body):
    id: Key
    name: Name
    price: Price | None = Field(None, description="Added to each unit. Default: free.")


class OptionGroup(Body):
    """Options of which a line chooses `min` to `max`."""

    id: Key
    name: Name
    min: int = Field(0, ge=0, le=20)
    max: int = Field(1, ge=0, le=20)
    options: list[Option] = Field(min_length=1, max_length=50)


class PutProduct(Body):
    """Option ids are unique within the product."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "merchant_id": "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e",
                    "name": "Espresso",
                    "sku": "ESP-1",
                    "price": {"amount": 250, "currency": "EUR"},
                    "options": [
                        {
                            "id": "size",
                            "name": "Size",
                            "min": 1,
                            "max": 1,
                            "options": [
                                {"id": "single", "name": "Single"},
                                {"id": "double", "name": "Double", "price": {"amount": 90, "currency": "EUR"}},
                            ],
                        }
                    ],
                }
            ]
        }
    )

    merchant_id: UuidText
    name: Name
    sku: str = Field(min_length=1, max_length=80, pattern=r"\S")
    price: Price
    category: str = Field("", max_length=80)
    options: list[OptionGroup] = Field([], max_length=20)
    max_quantity: int = Field(99, ge=1, le=QUANTITY_MAX, description="Units in one cart line.")
    active: bool = True


class ProductList(PageQuery):
    merchant_id: UuidText


class ShownOption(BaseModel):
    id: str
    name: str
    price: Money


class ShownGroup(BaseModel):
    id: str
    name: str
    min: int
    max: int
    options: list[ShownOption]


class Product(BaseModel):
    id: str
    merchant_id: str
    name: str
    sku: str
    category: str
    price: Money
    max_quantity: int
    active: bool
    options: list[ShownGroup]


class ProductPage(BaseModel):
    items: list[Product]
    next_cursor: str | None = None

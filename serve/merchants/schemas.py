"""Bodies and documentation of merchants and their menus."""

from pydantic import BaseModel, ConfigDict, Field

from actors.order_state import ACCEPT_WITHIN_MS_MAX
from serve.platform.schemas import Body, Currency, Money, PageQuery, Price
from serve.products.schemas import Product


class CreateMerchant(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Corner Grocer",
                    "currency": "EUR",
                    "city": "Berlin",
                    "country": "DE",
                    "time_zone": "Europe/Berlin",
                    "delivery_fee": {"amount": 290, "currency": "EUR"},
                }
            ]
        }
    )

    name: str = Field(min_length=1, max_length=200, pattern=r"\S")
    currency: Currency
    city: str = Field("", max_length=200)
    country: str = Field("", pattern=r"^([A-Z]{2})?$")
    time_zone: str = Field("UTC", max_length=64)
    delivery_fee: Price | None = None
    minimum_order: Price | None = None
    accept_within_seconds: int = Field(600, ge=1, le=ACCEPT_WITHIN_MS_MAX // 1_000)


class MerchantList(PageQuery):
    city: str = Field("", max_length=200)
    country: str = Field("", max_length=2)


class Merchant(BaseModel):
    id: str
    name: str
    currency: str
    city: str
    country: str
    time_zone: str
    delivery_fee: Money
    minimum_order: Money
    accept_within_seconds: int


class MerchantPage(BaseModel):
    items: list[Merchant]
    next_cursor: str | None = None


class Menu(BaseModel):
    items: list[Product]
    next_cursor: str | None = None

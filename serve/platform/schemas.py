"""What request and response models share."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from domain.ids import is_uuid
from domain.money import AMOUNT_MINOR_MAX
from serve.limits import DEFAULTS


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("must be a UUID")
    return text.lower()


UuidText = Annotated[
    str, StringConstraints(max_length=36), AfterValidator(_uuid), Field(json_schema_extra={"format": "uuid"})
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["EUR"], description="ISO 4217.")]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T09:30:00.250Z"])]
"""An RFC 3339 time in an answer."""


class Body(BaseModel):
    """A request's body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A request's query: no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Query):
    limit: int = Field(DEFAULTS.page_rows_default, ge=1, le=DEFAULTS.page_rows_max, description="Entries a page.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class Money(BaseModel):
    """An amount in minor units: `{"amount": 1250, "currency": "EUR"}` is 12.50 EUR."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    amount: int = Field(examples=[1250], description="Minor units.")
    currency: Currency


class Price(Money):
    """An amount from outside: not negative."""

    amount: int = Field(ge=0, le=AMOUNT_MINOR_MAX, examples=[1250], description="Minor units.")


class Line(BaseModel):
    """A line of a cart or an order. `unit_price` is one unit without options, `total` the line with them."""

    line_id: str
    product_id: str
    name: str
    unit_price: Money
    quantity: int
    total: Money
    options: list["LineOption"] | None = None
    instructions: str | None = None
    unavailable: bool | None = None


class LineOption(BaseModel):
    id: str
    name: str
    price: Money


class Page(BaseModel):
    """`next_cursor` is left out of the last page."""

    items: list[Any]
    next_cursor: str | None = None

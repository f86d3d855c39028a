"""Bodies and documentation of orders."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from actors.order_state import ADDRESS_LENGTH_MAX, INSTRUCTIONS_LENGTH_MAX, LINES_MAX, REASON_LENGTH_MAX
from actors.order_status import Fulfilment, OrderStatus
from domain.times import from_rfc3339
from serve.platform.schemas import Body, Line, Moment, Money, PageQuery, Query, UuidText

_EXAMPLE_ID = "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"

AddressLine = Annotated[str, StringConstraints(max_length=ADDRESS_LENGTH_MAX)]
RequiredLine = Annotated[str, StringConstraints(min_length=1, max_length=ADDRESS_LENGTH_MAX, pattern=r"\S")]


def _moment(text: str) -> str:
    from_rfc3339(text)
    return text


SentMoment = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_moment),
    Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T09:30:00.250Z"]),
]
"""An RFC 3339 time with its offset, in a request."""


def _split(text: Any) -> Any:
    return [part for part in text.split(",") if part] if isinstance(text, str) else text


Statuses = Annotated[
    list[OrderStatus],
    BeforeValidator(_split),
    Field(description="One or more, separated by commas.", json_schema_extra={"examples": ["placed,accepted"]}),
]


class Address(Body):
    """Where to deliver."""

    line1: RequiredLine
    city: RequiredLine
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["DE"])
    line2: AddressLine = ""
    region: AddressLine = ""
    postal_code: AddressLine = ""


class CreateOrder(Body):
    """Prices and totals come from the cart; `expected_total` (with the delivery fee) is only compared."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cart_id": _EXAMPLE_ID,
                    "fulfilment": "delivery",
                    "payment_method": "pay_on_delivery",
                    "address": {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10827"},
                    "expected_total": {"amount": 2450, "currency": "EUR"},
                },
                {"cart_id": _EXAMPLE_ID, "fulfilment": "collection", "payment_method": "pay_on_delivery"},
            ]
        }
    )

    cart_id: UuidText
    fulfilment: Literal["delivery", "collection"]
    payment_method: Literal["pay_on_delivery"] = "pay_on_delivery"
    address: Address | None = None
    instructions: str = Field("", max_length=INSTRUCTIONS_LENGTH_MAX)
    expected_total: Money | None = None

    @model_validator(mode="after")
    def _has_address(self) -> "CreateOrder":
        if self.fulfilment == "delivery" and self.address is None:
            raise ValueError("a delivery needs an address")
        return self


class SetStatus(Body):
    """`from`, if given, must be the current status."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "accepted", "from": "placed"},
                {"status": "rejected", "reason": "out of stock", "out_of_stock_lines": ["2"]},
            ]
        }
    )

    status: Annotated[OrderStatus, Field(strict=False)]
    from_: Annotated[OrderStatus, Field(strict=False)] | None = Field(None, alias="from")
    reason: str = Field("", max_length=REASON_LENGTH_MAX)
    out_of_stock_lines: list[str] = Field([], max_length=LINES_MAX)


class CancelOrder(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "changed my mind"}]})

    reason: str = Field("", max_length=REASON_LENGTH_MAX)


class AssignCourier(Body):
    """Staff name a courier; a courier leaves it out and claims a ready delivery for themself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"courier_id": _EXAMPLE_ID}, {}]})

    courier_id: UuidText | None = None


class ReportPosition(Body):
    """Degrees (WGS 84), metres, degrees clockwise from north."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lat": 52.52, "lon": 13.405, "accuracy_m": 8.0}]})

    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    accuracy_m: float | None = Field(None, ge=0, lt=1e6, allow_inf_nan=False)
    heading: float | None = Field(None, ge=0, le=360, allow_inf_nan=False)
    at: SentMoment | None = Field(None, description="When the device was there. Default: now.")


class OrderWindow(Query):
    """Orders placed within `[since, until)`."""

    since: datetime | None = Field(None, description="RFC 3339.")
    until: datetime | None = Field(None, description="RFC 3339, exclusive.")

    @model_validator(mode="after")
    def _is_aware(self) -> "OrderWindow":
        if any(moment is not None and moment.tzinfo is None for moment in (self.since, self.until)):
            raise ValueError("since and until need an offset, like Z")
        return self


class OrdersOfUser(PageQuery, OrderWindow):
    status: Statuses = Field(default_factory=list)


class OrderList(OrdersOfUser):
    """Without a party: your own orders."""

    user_id: str | None = Field(None, max_length=80)
    merchant_id: UuidText | None = Field(None, description="For the merchant's staff.")
    courier_id: UuidText | None = Field(None, description="For the courier.")


class StatsQuery(OrderWindow):
    merchant_id: UuidText


class ShareQuery(Query):
    share: str | None = Field(None, max_length=8_192, description="A share token instead of an access token.")


class Stamp(BaseModel):
    at: Moment
    by: str = Field(description="A user id or `system`.")
    device: str | None = None


class Position(BaseModel):
    lat: float
    lon: float
    at: Moment
    accuracy_m: float | None = None
    heading: float | None = None


class Order(BaseModel):
    """Fields that do not apply are left out; nothing is ever null."""

    id: str
    status: OrderStatus
    closed: bool
    user_id: str
    merchant_id: str
    cart_id: str
    currency: str
    version: int = Field(description="Also the ETag.")
    fulfilment: Fulfilment
    payment_method: str
    lines: dict[str, Line] = Field(description="By line id.")
    lines_count: int
    items_count: int
    subtotal: Money
    delivery_fee: Money
    total: Money
    timeline: dict[str, Stamp] = Field(description="By status.")
    placed_at: Moment
    updated_at: Moment
    address: Address | None = None
    instructions: str | None = None
    courier_id: str | None = None
    position: Position | None = None
    accept_by: Moment | None = None
    reason: str | None = None
    out_of_stock_lines: list[str] | None = None


class OrderEntry(BaseModel):
    id: str
    version: int
    status: OrderStatus
    user_id: str
    merchant_id: str
    total: Money
    lines_count: int
    placed_at: Moment
    updated_at: Moment
    courier_id: str | None = None
    cart_id: str | None = None


class OrderPage(BaseModel):
    items: list[OrderEntry]
    next_cursor: str | None = None


class HistoryEntry(BaseModel):
    version: int
    at: Moment
    type: str
    text: str
    by: str
    device: str | None = None
    status: str | None = None
    previous: str | None = None
    reason: str | None = None
    out_of_stock_lines: list[str] | None = None
    courier_id: str | None = None
    position: Position | None = None


class History(BaseModel):
    items: list[HistoryEntry]


class Tracking(BaseModel):
    """`trail` is the recorded sample of positions, oldest first."""

    order_id: str
    status: OrderStatus
    closed: bool
    version: int
    fulfilment: Fulfilment
    timeline: dict[str, Stamp]
    placed_at: Moment
    updated_at: Moment
    trail: list[Position]
    courier_id: str | None = None
    accept_by: Moment | None = None
    position: Position | None = None


class StatusCount(BaseModel):
    status: OrderStatus
    count: int
    total: Money


class Stats(BaseModel):
    """`sales` leaves out rejected, cancelled and expired orders."""

    merchant_id: str
    orders_count: int
    open_count: int
    by_status: list[StatusCount]
    sales: list[Money]


class Share(BaseModel):
    """A link that shows this one order to whoever holds it, until it expires."""

    token: str
    expires_at: Moment
    tracking_url: str
    live_url: str

"""Bodies and documentation of carts."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors.cart_state import INSTRUCTIONS_LENGTH_MAX, OPTIONS_MAX, QUANTITY_MAX, CartStatus
from serve.platform.schemas import Body, Currency, Line, Moment, Money, PageQuery, UuidText

_EXAMPLE_PRODUCT = "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"


class CreateCart(Body):
    """A cart is for one merchant and in its currency; without a merchant, say the currency."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"merchant_id": _EXAMPLE_PRODUCT}, {"currency": "EUR"}]})

    merchant_id: UuidText | None = None
    currency: Currency | None = None

    @model_validator(mode="after")
    def _has_currency(self) -> "CreateCart":
        if self.merchant_id is None and self.currency is None:
            raise ValueError("one of merchant_id and currency is required")
        return self


class AddItem(Body):
    """The price comes from the catalog."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"product_id": _EXAMPLE_PRODUCT, "quantity": 2, "options": ["large"], "instructions": "no onions"}
            ]
        }
    )

    product_id: UuidText
    quantity: int = Field(1, ge=1, le=QUANTITY_MAX)
    options: list[str] = Field([], max_length=OPTIONS_MAX, description="Ids of the product's options.")
    instructions: str = Field("", max_length=INSTRUCTIONS_LENGTH_MAX)


class SetItem(Body):
    """What is given is changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"quantity": 3}]})

    quantity: int | None = Field(None, ge=1, le=QUANTITY_MAX)
    options: list[str] | None = Field(None, max_length=OPTIONS_MAX)
    instructions: str | None = Field(None, max_length=INSTRUCTIONS_LENGTH_MAX)

    @model_validator(mode="after")
    def _says_something(self) -> "SetItem":
        if self.quantity is None and self.options is None and self.instructions is None:
            raise ValueError("one of quantity, options and instructions is required")
        return self


class MergeCart(Body):
    """`source_token` is the guest's own access token: the proof that the cart is theirs to give."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"source_cart_id": _EXAMPLE_PRODUCT, "source_token": "eyJhbGciOiJSUzI1NiJ9…"}]}
    )

    source_cart_id: UuidText
    source_token: str = Field(max_length=8_192)
    replace: bool = Field(default=False, description="Give up this cart's lines if they are another merchant's.")


class CartList(PageQuery):
    status: CartStatus | None = Field(None, description="Default: open and checking_out.")


class Notice(BaseModel):
    """`repriced`, with both unit prices (options included), or `unavailable`."""

    code: str
    line_id: str
    old_unit_price: Money | None = None
    new_unit_price: Money | None = None


class Cart(BaseModel):
    """Fields that do not apply are left out; nothing is ever null."""

    id: str
    status: CartStatus
    owner: str
    currency: str
    version: int = Field(description="Also the ETag.")
    lines: dict[str, Line] = Field(description="By line id.")
    lines_count: int
    items_count: int
    subtotal: Money
    total: Money
    notices: dict[str, Notice]
    created_at: Moment
    updated_at: Moment
    merchant_id: str | None = None
    prices_expire_at: Moment | None = None
    expires_at: Moment | None = None
    order_id: str | None = None
    merged_into: str | None = None


class CartEntry(BaseModel):
    id: str
    status: CartStatus
    created_at: Moment
    updated_at: Moment
    merchant_id: str | None = None


class CartPage(BaseModel):
    items: list[CartEntry]
    next_cursor: str | None = None

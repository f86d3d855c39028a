"""Bodies and documentation of organizations."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.platform.schemas import Body, Currency, PageQuery, Query, UuidText
from services.accounts.emails import EMAIL_CHARACTERS_MAX
from services.locations import NAME_LENGTH_MAX
from services.organizations import REASON_CHARACTERS_MAX

Kind = Literal["merchant", "clinic", "organizer"]
Status = Literal["active", "inactive"]
Text = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX)]


class CreateOrganization(Body):
    """With an `id` of your own, the same again is no error; another one with this id is 409."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Skin Studio", "kind": "clinic", "currency": "EUR", "time_zone": "Europe/Berlin"}]
        }
    )

    id: UuidText | None = Field(None, description="Default: a new one.")
    name: str = Field(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S")
    kind: Kind
    currency: Currency = "EUR"
    city: Text = ""
    country: str = Field("", pattern=r"^([A-Z]{2})?$", description="ISO 3166-1 alpha-2.")
    time_zone: str = Field("UTC", min_length=1, max_length=64, description="IANA time zone.")


class PutOrganization(Body):
    """In the place of what was said before; `kind` and `currency` left out: as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Skin Studio", "city": "Zürich", "country": "CH", "time_zone": "Europe/Zurich"}]
        }
    )

    name: str = Field(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S")
    city: Text = ""
    country: str = Field("", pattern=r"^([A-Z]{2})?$", description="ISO 3166-1 alpha-2.")
    time_zone: str = Field("UTC", min_length=1, max_length=64, description="IANA time zone.")
    kind: Kind | None = Field(None, description="Another one only while there are no products, locations or fees.")
    currency: Currency | None = Field(None, description="Likewise.")


class Organization(BaseModel):
    """What is empty is left out."""

    id: str
    kind: Kind
    name: str
    currency: str
    status: Status = Field(description="`inactive`: nobody acts for it.")
    city: str | None = None
    country: str | None = None
    time_zone: str | None = Field(None, description="Left out: UTC.")


class OrganizationPage(BaseModel):
    items: list[Organization]
    next_cursor: str | None = None


class OrganizationList(PageQuery):
    kind: Kind | None = None
    status: Status | None = None
    q: str = Field("", max_length=NAME_LENGTH_MAX, description="Found anywhere in the name, in either case.")


class Reason(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The contract has ended."}]})

    reason: str = Field(
        min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S", description="For the audit trail."
    )


Role = Literal["merchant_staff", "provider", "front_desk", "organizer", "billing", "admin"]


class AddMember(Body):
    """Either `email` or `user_id`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com", "role": "provider"}]})

    role: Role
    email: str | None = Field(None, min_length=3, max_length=EMAIL_CHARACTERS_MAX)
    user_id: UuidText | None = None


class RoleQuery(Query):
    role: Role | None = Field(None, description="Left out: all.")


class Member(BaseModel):
    user_id: str
    name: str
    email: str
    roles: list[Role]


class MemberPage(BaseModel):
    items: list[Member]
    next_cursor: str | None = None

"""Bodies and documentation of organizations."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.roles import ORGANIZATION_ROLES
from serve.auth.schemas import Email, Locale, SecretText
from serve.platform.schemas import Body, Currency, Moment, PageQuery, Query, UuidText
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


ROLES_MAX = len(ORGANIZATION_ROLES)
Role = Literal["merchant_staff", "provider", "front_desk", "organizer", "billing", "admin"]


class AddMember(Body):
    """Either `email` or `user_id`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com", "role": "provider"}]})

    role: Role
    email: str | None = Field(None, min_length=3, max_length=EMAIL_CHARACTERS_MAX)
    user_id: UuidText | None = None


class Invite(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com", "roles": ["provider"]}]})

    email: Email
    roles: list[Role] = Field(min_length=1, max_length=ROLES_MAX)
    locale: Locale | None = Field(None, description="Of the mail; left out: the inviter's.")


class AcceptInvitation(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "kq3vYw1X7m0dB5m2u4Zt9cS8aF6hJ1rPzQeLxVnTgIo"}]}
    )

    token: SecretText = Field(description="From the mail.")


class Invitation(BaseModel):
    """To an address, whether or not somebody has an account with it."""

    id: str
    email: str
    roles: list[Role]
    locale: str = Field(description="Of the mail.")
    status: Literal["open", "expired"]
    invited_by: str
    created_at: Moment
    expires_at: Moment


class InvitationPage(BaseModel):
    items: list[Invitation]
    next_cursor: str | None = None


class Joined(BaseModel):
    """Refresh with `organization_id` for an access token that says so."""

    organization_id: str
    roles: list[Role]


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

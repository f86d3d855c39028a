"""Bodies and documentation of people."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.auth.schemas import Account, Email, Locale, Password, PersonName, TimeZone
from serve.platform.schemas import Body, Moment, PageQuery, UuidText
from services.accounts.limits import DEFAULTS
from services.accounts.people import REASON_CHARACTERS_MAX
from services.accounts.profiles import PHONE_PATTERN

Phone = Annotated[
    str,
    StringConstraints(pattern=rf"^({PHONE_PATTERN})?$"),
    Field(examples=["+493012345678"], description="E.164: a plus, the country's code, the number."),
]
Role = Literal["customer", "courier", "merchant_staff", "provider", "front_desk", "organizer", "billing", "admin"]


class PutProfile(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ada Lovelace", "locale": "en", "time_zone": "Europe/London"}]}
    )

    name: PersonName
    locale: Locale
    time_zone: TimeZone
    phone: Phone = Field("", description="Left out: none.")


class ChangeEmail(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.org", "password": "umbrella walnut 7 trombone"}]}
    )

    email: Email
    password: Password


class Profile(Account):
    phone: str | None = None


class Channels(Body):
    """By which ways one subject may reach a person. What is left out is on."""

    email: bool = True
    push: bool = True


class Advertising(Body):
    """What is left out is off: it is asked for, never assumed."""

    email: bool = False
    push: bool = False


class Notifications(Body):
    orders: Channels = Channels()
    appointments: Channels = Channels()
    marketing: Advertising = Advertising()


class Preferences(Body):
    """All of them; what a request leaves out is as by default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"theme": "dark", "units": "metric"}]})

    theme: Literal["system", "light", "dark"] = "system"
    units: Literal["metric", "imperial"] = "metric"
    first_weekday: Literal["monday", "sunday", "saturday"] = "monday"
    reduced_motion: bool = False
    notifications: Notifications = Notifications()


class PutPosition(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"lat": 52.516, "lon": 13.378, "consent": True}]})

    lat: float = Field(ge=-90, le=90, allow_inf_nan=False, description="WGS 84; kept to a hundredth of a degree.")
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    consent: Literal[True] = Field(description="They said that it may be kept; withdrawn by `DELETE`.")


class Position(BaseModel):
    """Empty when there is none."""

    lat: float | None = None
    lon: float | None = None
    consented_at: Moment | None = None
    expires_at: Moment | None = None


class SearchQuery(PageQuery):
    q: str = Field(
        min_length=1,
        max_length=DEFAULTS.search_characters_max,
        description="Beginnings of words of a name (three characters and more, shorter words whole), or an address.",
    )


class RolesAt(BaseModel):
    organization_id: str
    roles: list[Role]


class Person(BaseModel):
    """`email`, `phone`, `status` and what follows them only to oneself and to admins."""

    id: str
    name: str
    memberships: list[RolesAt] = Field(description="At organizations that the caller may know of.")
    email: str | None = None
    phone: str | None = None
    status: Literal["pending", "active", "suspended", "deleted"] | None = None
    roles: list[Role] | None = Field(None, description="Without an organization.")
    created_at: Moment | None = None
    deleted_at: Moment | None = None


class PersonPage(BaseModel):
    items: list[Person]
    next_cursor: str | None = None


class PutRoles(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"organization_id": "6ad8cdb1-6034-8ff0-9847-1b3b041c5292", "roles": ["provider", "billing"]}]
        }
    )

    roles: list[Role] = Field(min_length=1, max_length=8, description="Exactly these, from now on.")
    organization_id: UuidText | None = Field(
        None, description="Left out: those without an organization (the platform's admins only)."
    )


class Reason(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Chargebacks, ticket 4711"}]})

    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S")


class Deleted(BaseModel):
    status: Literal["deleted"]
    erased_after: Moment = Field(description="Until then an admin may reinstate the account.")

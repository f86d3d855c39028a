"""Bodies and documentation of locations and of the rooms they have."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from actors.room_state import KIND_LENGTH_MAX
from actors.room_state import NAME_LENGTH_MAX as ROOM_NAME_LENGTH_MAX
from serve.platform.schemas import Body, PageQuery, UuidText
from services.locations import NAME_LENGTH_MAX

_LOCATION: dict[str, JsonValue] = {
    "name": "Centre",
    "address": {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10827"},
    "time_zone": "Europe/Berlin",
    "opening_hours": [{"day": "monday", "opens": "09:00", "closes": "17:30"}],
    "categories": ["injectables"],
}

Text = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX)]
RequiredText = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S")]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]


class LocationAddress(Body):
    """Where the location is."""

    line1: RequiredText
    city: RequiredText
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["DE"])
    line2: Text = ""
    region: Text = ""
    postal_code: Text = ""


class OpenFrom(Body):
    """A span of one day, in local time. Past midnight: until `24:00`, and on from `00:00` the day after."""

    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    opens: str = Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])
    closes: str = Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples=["17:30"])


class PutLocation(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [_LOCATION]})

    name: RequiredText
    address: LocationAddress
    time_zone: str = Field(min_length=1, max_length=64, description="IANA time zone.", examples=["Europe/Berlin"])
    opening_hours: list[OpenFrom] = Field([], max_length=70)
    categories: list[Category] = Field([], max_length=50)


class CreateLocation(PutLocation):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"organization_id": "6ad8cdb1-6034-8ff0-9847-1b3b041c5292", **_LOCATION}]}
    )

    organization_id: UuidText


class LocationList(PageQuery):
    organization_id: UuidText | None = Field(None, description="Default: all of your organizations.")


class Location(BaseModel):
    """What is empty is left out."""

    id: str
    organization_id: str
    name: str
    address: LocationAddress
    time_zone: str
    opening_hours: list[OpenFrom] | None = None
    categories: list[str] | None = None


class LocationPage(BaseModel):
    items: list[Location]
    next_cursor: str | None = None


class PutRoom(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Room 1", "kind": "injection"}]})

    name: str = Field(min_length=1, max_length=ROOM_NAME_LENGTH_MAX, pattern=r"\S")
    kind: str = Field("", max_length=KIND_LENGTH_MAX)


class LocationRoom(BaseModel):
    """A room as it is managed; `GET /rooms/{id}` says what happens in it."""

    id: str
    location_id: str
    name: str
    kind: str | None = None


class LocationRoomPage(BaseModel):
    items: list[LocationRoom]
    next_cursor: str | None = None


class Country(BaseModel):
    country: str = Field(description="ISO 3166-1 alpha-2.", examples=["DE"])
    locations: int


class Countries(BaseModel):
    items: list[Country]


class City(BaseModel):
    city: str
    locations: int


class Cities(BaseModel):
    items: list[City]


class Categories(BaseModel):
    items: list[str]

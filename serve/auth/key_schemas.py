"""Bodies and documentation of API keys."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.platform.schemas import Body, Moment, UuidText
from services.access.scopes import SCOPES
from services.accounts.key_limits import DEFAULTS

_SCOPES_MAX = len(SCOPES)

KeyName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DEFAULTS.key_name_characters_max, pattern=r"\S"),
    Field(examples=["Nightly export"], description="What it is for."),
]


class NewKeyBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Nightly export", "scopes": ["orders:read"], "expires_in_days": 90}]}
    )

    name: KeyName
    scopes: list[str] = Field(
        min_length=1,
        max_length=_SCOPES_MAX,
        description="What it may be used for, within its owner's rights: " + ", ".join(sorted(SCOPES)) + ".",
    )
    expires_in_days: int = Field(DEFAULTS.key_days_default, ge=1, le=DEFAULTS.key_days_max)


class CreateApiKey(NewKeyBody):
    organization_id: UuidText | None = Field(
        None, description="Act for this organization, with one's roles there; left out: for oneself."
    )


class RotateApiKey(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3_600}]})

    overlap_seconds: int = Field(
        DEFAULTS.key_overlap_seconds,
        ge=0,
        le=DEFAULTS.key_overlap_seconds_max,
        description="For so long the old key goes on.",
    )


class ApiKey(BaseModel):
    id: str
    prefix: str = Field(examples=["atr_live_Xq3vYw"], description="Its first characters, to recognize it by.")
    name: str
    scopes: list[str]
    organization_id: str | None = None
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None = Field(None, description="To within a minute or two.")


class CreatedApiKey(ApiKey):
    key: str = Field(description="The key itself. It is shown this once, and kept nowhere: store it now.")


class ApiKeys(BaseModel):
    items: list[ApiKey]


class CreateServiceAccount(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Lab interface", "roles": ["provider"]}]})

    name: KeyName
    roles: list[Literal["merchant_staff", "provider", "front_desk", "organizer", "billing"]] = Field(
        min_length=1, max_length=5
    )


class SuspendServiceAccount(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "its key was in a repository"}]})

    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")


class ServiceAccount(BaseModel):
    id: str
    organization_id: str
    name: str
    roles: list[str]
    status: Literal["active", "suspended"]
    created_at: Moment
    updated_at: Moment


class ServiceAccountPage(BaseModel):
    """`next_cursor` is left out of the last page."""

    items: list[ServiceAccount]
    next_cursor: str | None = None

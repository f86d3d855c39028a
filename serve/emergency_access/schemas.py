"""Bodies, queries and documentation of emergency access."""

from pydantic import BaseModel, ConfigDict, Field

from serve.platform.schemas import Body, Moment, PageQuery
from services.access.emergency import (
    EMERGENCY_ACCESS_MS,
    NOTE_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    REASON_CHARACTERS_MIN,
)

_TOKEN_CHARACTERS_MAX = 8_192
_HOURS = EMERGENCY_ACCESS_MS // 3_600_000


class TakeEmergencyAccess(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reason": "Unconscious in the waiting room; allergies must be known, no provider is in the house.",
                    "proof": "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl",
                }
            ]
        }
    )

    reason: str = Field(min_length=REASON_CHARACTERS_MIN, max_length=REASON_CHARACTERS_MAX)
    proof: str = Field(
        min_length=1, max_length=_TOKEN_CHARACTERS_MAX, description="An access token of yours from a login just now."
    )


class EmergencyAccess(BaseModel):
    """All documents of one patient at one organization, to be read by `subject` until it ends."""

    id: str
    subject: str = Field(description="Who took it.")
    organization_id: str
    patient_id: str
    document_id: str = Field(description="The document that was asked for.")
    reason: str
    granted_at: Moment
    expires_at: Moment = Field(description=f"{_HOURS} hours after it was granted.")
    active: bool = Field(description="Neither expired nor revoked.")
    revoked_at: Moment | None = None
    revoked_by: str | None = None
    reviewed_at: Moment | None = None
    reviewed_by: str | None = None
    note: str | None = None


class EmergencyAccessPage(BaseModel):
    items: list[EmergencyAccess]
    next_cursor: str | None = None


class EmergencyAccessQuery(PageQuery):
    unreviewed: bool = Field(default=False, description="Only those that nobody has looked into.")


class ReviewEmergencyAccess(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Spoke with her; justified."}]})

    note: str = Field("", max_length=NOTE_CHARACTERS_MAX)

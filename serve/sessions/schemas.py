"""Bodies and documentation of provider sessions."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from actors.session_state import NOTE_LENGTH_MAX, REASON_LENGTH_MAX, Access, EndedBy, SessionStatus
from domain.text import ID_LENGTH_MAX
from serve.platform.schemas import Body, Moment, PageQuery, UuidText

Reason = Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX, pattern=r"\S")]
Person = Annotated[str, Field(min_length=1, max_length=ID_LENGTH_MAX, description="A user id.")]


class SessionList(PageQuery):
    location: UuidText | None = None
    status: SessionStatus | None = None
    quarantined: bool = Field(default=False, description="Only those that have commands in quarantine.")
    user: Person | None = None


class ResolveItem(Body):
    """`discard` gives the command up; `retry` sends it again in your name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "retry", "reason": "the point is on the chart now"},
                {"action": "discard", "reason": "charted on paper"},
            ]
        }
    )

    action: Literal["retry", "discard"]
    reason: Reason


class OfferHandOff(Body):
    """Room, patient and open documents, for `to` to take: another provider, or yourself at another device."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "u-17", "note": "20 units are left"}]})

    to: Person
    note: str = Field("", max_length=NOTE_LENGTH_MAX)
    offer_id: UuidText | None = Field(None, description="Your own id for the offer.")


class TakeHandOff(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"session": "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"}]})

    session: UuidText = Field(description="Your session, which goes on with it.")


class RevokeSession(Body):
    """`person`: their commands are quarantined from now on. `device`: it is shut out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"what": "device", "reason": "stolen"}]})

    what: Literal["person", "device"]
    reason: Reason


class QuarantinedCommand(BaseModel):
    """A command that waits to be resolved, without its content."""

    epoch: int
    seq: int
    ent: str
    op: str
    code: str
    at: Moment


class QuarantineEntry(QuarantinedCommand):
    id: str


class QuarantineList(BaseModel):
    items: list[QuarantineEntry]


class QuarantineItem(BaseModel):
    """The whole command, and why it was refused."""

    id: str
    epoch: int
    seq: int
    code: str
    at: Moment
    by: str
    device: str
    command: dict[str, Any] = Field(description="`ent`, `op`, `args`, and what else the device sent.")
    detail: str | None = None
    errors: list[dict[str, str]] | None = None
    current: Any | None = None


class HandOff(BaseModel):
    to: str
    at: Moment


class Session(BaseModel):
    """What does not apply is left out. `documents` are the open ones by id, since when."""

    id: str
    version: int
    subject: str
    device_id: str
    organizations: list[str]
    location_id: str | None = None
    status: SessionStatus
    ended_by: EndedBy | None = None
    access: Access
    access_reason: str | None = None
    generation: int
    epoch: int
    last_seq: int
    since: Moment
    active_at: Moment
    room_id: str | None = None
    patient_id: str | None = None
    visit_id: str | None = None
    room_since: Moment | None = None
    documents: dict[str, Moment] | None = None
    hand_offs: dict[str, HandOff] | None = None
    quarantine: dict[str, QuarantinedCommand] | None = None


class SessionEntry(BaseModel):
    id: str
    version: int
    organization_id: str
    location_id: str | None = None
    subject: str
    device_id: str
    status: SessionStatus
    access: Access
    room_id: str | None = None
    patient_id: str | None = None
    quarantined: int | None = None
    since: Moment
    updated_at: Moment


class SessionPage(BaseModel):
    items: list[SessionEntry]
    next_cursor: str | None = None

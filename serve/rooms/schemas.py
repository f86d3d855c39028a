"""Bodies and documentation of rooms as they are lived in."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actors.room_state import HOLD_MINUTES_DEFAULT, HOLD_MINUTES_MAX, REASON_LENGTH_MAX
from actors.room_status import RoomStatus, WaitingFor
from domain.text import ID_LENGTH_MAX
from serve.platform.schemas import Body, Moment

Token = Annotated[int, Field(ge=1, le=2**53 - 1, description="The fencing token of the claim that you act under.")]
Reason = Annotated[str, Field(max_length=REASON_LENGTH_MAX)]
Reference = Annotated[str, Field(min_length=1, max_length=ID_LENGTH_MAX)]


class SetRoomStatus(Body):
    """`from`, if given, must be the current status. Each status takes its own facts and no others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "held", "from": "available", "visit_id": "v-17", "hold_minutes": 10},
                {"status": "roomed", "from": "held", "patient_id": "p-4", "visit_id": "v-17"},
                {"status": "waiting", "from": "in_treatment", "waiting_for": "numbing", "token": 3},
            ]
        }
    )

    status: Annotated[RoomStatus, Field(strict=False)]
    from_: Annotated[RoomStatus, Field(strict=False)] | None = Field(None, alias="from")
    reason: Reason = ""
    waiting_for: Annotated[WaitingFor, Field(strict=False)] | None = Field(None, description="With `waiting`.")
    patient_id: Reference | None = Field(None, description="With `roomed`.")
    visit_id: Reference | None = Field(None, description="With `roomed`; with `held`, whom it is for.")
    hold_minutes: int | None = Field(
        None, ge=1, le=HOLD_MINUTES_MAX, description=f"With `held`. Default: {HOLD_MINUTES_DEFAULT}."
    )
    token: Token | None = None


class UndoStatus(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 7}]})

    version: int = Field(ge=1, le=2**53 - 1, description="`undo_version` of the room.")
    token: Token | None = None


class ReleaseRoom(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"token": 3}]})

    token: Token


class TakeOverRoom(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "shift change"}]})

    reason: str = Field(min_length=1, max_length=REASON_LENGTH_MAX, pattern=r"\S")


class Claim(BaseModel):
    """`token` goes with every command under the claim; only its holder can use it."""

    by: str
    token: int
    since: Moment
    until: Moment
    device: str | None = None


class Alert(BaseModel):
    type: str
    status: RoomStatus
    since: Moment
    raised_at: Moment
    threshold_seconds: int


class Room(BaseModel):
    """What does not apply is left out. `undo_version` is there when the last status change can be undone,
    `undo_visit_id` when that brings a visit back into the room."""

    id: str
    version: int
    organization_id: str
    location_id: str
    name: str
    kind: str | None = None
    status: RoomStatus
    since: Moment
    by: str
    device: str | None = None
    occupied: bool
    reason: str | None = None
    waiting_for: WaitingFor | None = None
    patient_id: str | None = None
    visit_id: str | None = None
    held_for: str | None = None
    hold_until: Moment | None = None
    claim: Claim | None = None
    alert: Alert | None = None
    undo_version: int | None = None
    undo_visit_id: str | None = None


class RoomEvent(BaseModel):
    """One thing that happened. What does not apply is left out."""

    version: int
    at: Moment
    type: str = Field(examples=["status_changed"])
    by: str
    device: str | None = None
    status: RoomStatus | None = None
    previous: RoomStatus | None = None
    reason: str | None = None
    waiting_for: WaitingFor | None = None
    patient_id: str | None = None
    visit_id: str | None = None
    token: int | None = None
    instead_of: str | None = Field(None, description="Whose claim was taken over.")
    undone: int | None = Field(None, description="The version that an undo took back.")
    threshold_seconds: int | None = None
    name: str | None = None
    kind: str | None = None


class RoomHistory(BaseModel):
    items: list[RoomEvent]
    next_cursor: str | None = None

"""The people of a clinic and a room on the desk, for tests of the room."""

import pytest

from actors.room import RoomKind
from actors.room_commands import Create, SetStatus
from actors.room_state import RoomState
from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Conflict, Failure, Rejected
from tests.actors.desk import Desk

CLINIC = "clinic-1"
PIA = Actor("pia", ("provider",), (CLINIC,))
QUINN = Actor("quinn", ("provider",), (CLINIC,))
FRED = Actor("fred", ("front_desk",), (CLINIC,))
ADA = Actor("ada", ("admin",), (CLINIC,))
STRANGERS = (
    Actor("olga", ("provider", "front_desk", "admin"), ("clinic-2",)),
    Actor("root", ("admin",)),
    Actor("bill", ("billing",), (CLINIC,)),
    Actor("carl", ("customer",)),
)

VISIT = {"patient_id": "patient-1", "visit_id": "visit-1"}
WAY = ("held", "roomed", "in_treatment", "waiting", "turnover", "cleaning", "available")

Room = Desk[RoomState]


def new_room() -> Room:
    desk: Room = Desk(RoomKind(), "room-1")
    desk.do(Create(organization_id=CLINIC, location_id="location-1", name="Room 1", kind="injection"), SYSTEM)
    return desk


def going(to: str, **fields: object) -> SetStatus:
    """The command with what the status needs."""
    needed: dict[str, dict[str, object]] = {
        "roomed": dict(VISIT),
        "waiting": {"waiting_for": "numbing"},
        "out_of_service": {"reason": "the lamp is broken"},
    }
    return SetStatus(to=to, **{**needed.get(to, {}), **fields})  # type: ignore[arg-type]


def room_in(status: str) -> Room:
    """A room brought into a status along its way, by a provider and the front desk."""
    desk = new_room()
    if status == "out_of_service":
        desk.do(going(status), FRED)
        return desk
    if status == "closed":
        desk.do(going(status), SYSTEM)
        return desk
    for to in WAY[: WAY.index(status) + 1] if status != "available" else ():
        desk.do(going(to), PIA)
    return desk


def status_of(desk: Room) -> str:
    assert desk.state is not None
    return desk.state.phase.status.value


def refused(desk: Room, command: object, actor: Actor, error: type[Rejected] = Conflict, device: str = "") -> Failure:
    version = desk.version
    with pytest.raises(error) as caught:
        desk.do(command, actor, device)
    assert desk.version == version
    return caught.value.failure

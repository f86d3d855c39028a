"""The live room: a status machine that is also the visit's, claims with fencing tokens, timers.

Providers, the front desk and admins of the clinic's organization see it; to everyone else it looks unknown.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, get_args

from actors.parties import is_system, parties
from actors.room_apply import applied, created
from actors.room_claims import CLAIM_TIMER, claim, claim_timer, release, take_over
from actors.room_commands import Claim, Command, Create, Describe, Release, SetStatus, TakeOver, Undo
from actors.room_moves import HOLD_TIMER, LONG_WAIT_TIMER, hold_timer, long_wait_timer, set_status, undo
from actors.room_state import KIND_LENGTH_MAX, NAME_LENGTH_MAX, Created, Described, Event, RoomState
from actors.room_status import SEES, RoomStatus
from actors.room_views import RoomView, room_view
from actors.runtime.entity import NOTHING, Actor, Context, Decision, EntityKind, IndexRow, Meta
from domain.errors import Conflict, Forbidden, NotFound
from domain.text import check_id, check_text


class RoomKind(EntityKind[RoomState]):
    name: ClassVar[str] = "room"
    schema: ClassVar[int] = 1
    commands: ClassVar[tuple[type, ...]] = get_args(Command)
    events: ClassVar[tuple[type, ...]] = get_args(Event)
    state: ClassVar[type] = RoomState

    def decide(self, state: RoomState | None, command: Any, ctx: Context) -> Decision:
        if state is not None and not self.may_read(state, ctx.actor):
            raise _unknown()
        if isinstance(command, Create):
            return _create(state, command, ctx)
        if state is None:
            raise _unknown()
        return _HANDLERS[type(command)](state, command, ctx)

    def apply(self, state: RoomState | None, event: Any, meta: Meta) -> RoomState:
        if isinstance(event, Created):
            return created(event, meta)
        if state is None:
            raise ValueError("a room's journal begins with its creation")
        return applied(state, event, meta)

    def view(self, state: RoomState, signals: dict[str, Any], version: int) -> RoomView:  # noqa: ARG002
        return room_view(state, version)

    def may_read(self, state: RoomState, actor: Actor) -> bool:
        return bool(parties(actor, organization_id=state.organization_id) & SEES)

    def on_timer(self, state: RoomState | None, name: str, ctx: Context) -> Decision:
        timer = _TIMERS.get(name)
        return NOTHING if state is None or timer is None else timer(state, ctx)

    def groups(self, state: RoomState) -> tuple[str, ...]:
        """The board of its location until it is closed; of its claim's holder while there is one."""
        if state.phase.status is RoomStatus.CLOSED:
            return ()
        board = f"location/{state.location_id}/rooms"
        return (board,) if state.holder is None else (board, f"user/{state.holder.by}/rooms")

    def index_row(self, state: RoomState) -> IndexRow:
        phase = state.phase
        return IndexRow(
            "room_status",
            {
                "organization_id": state.organization_id,
                "location_id": state.location_id,
                "status": phase.status.value,
                "claimed_by": None if state.holder is None else state.holder.by,
                "patient_id": phase.patient_id or None,
                "visit_id": phase.visit_id or None,
                "since": phase.since_ms,
            },
        )


def _create(state: RoomState | None, command: Create, ctx: Context) -> Decision:
    if not is_system(ctx.actor):
        raise _unknown() if state is None else Forbidden("Rooms are made by the service that manages them.")
    organization_id = check_id(command.organization_id, "organization_id")
    location_id = check_id(command.location_id, "location_id")
    _check_description(command)
    if state is not None:
        if (state.organization_id, state.location_id) == (organization_id, location_id):
            return NOTHING
        raise Conflict("Another room has this id.", code="room_exists")
    event = Created(
        room_id=ctx.id,
        organization_id=organization_id,
        location_id=location_id,
        name=command.name,
        kind=command.kind,
    )
    return Decision((event,))


def _describe(state: RoomState, command: Describe, ctx: Context) -> Decision:
    if not is_system(ctx.actor):
        raise Forbidden("Rooms are named by the service that manages them.")
    _check_description(command)
    if (command.name, command.kind) == (state.name, state.kind):
        return NOTHING
    return Decision((Described(name=command.name, kind=command.kind),))


def _check_description(command: Create | Describe) -> None:
    check_text(command.name, "name", length_max=NAME_LENGTH_MAX, required=True)
    check_text(command.kind, "kind", length_max=KIND_LENGTH_MAX)


_HANDLERS: Final[dict[type, Callable[[RoomState, Any, Context], Decision]]] = {
    Describe: _describe,
    SetStatus: set_status,
    Undo: undo,
    Claim: claim,
    Release: release,
    TakeOver: take_over,
}
_TIMERS: Final[dict[str, Callable[[RoomState, Context], Decision]]] = {
    HOLD_TIMER: hold_timer,
    LONG_WAIT_TIMER: long_wait_timer,
    CLAIM_TIMER: claim_timer,
}


def _unknown() -> NotFound:
    return NotFound("There is no such room.")

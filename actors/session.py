"""The provider session: one person at one device of a clinic. It keeps the count of the device's queue, what of it
waits for people, where the provider is, and hand-offs.

Its own person and the staff of its organizations see it; to everyone else it looks unknown.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, get_args

from actors.parties import is_oneself, parties
from actors.room_status import SEES
from actors.runtime.entity import NOTHING, Actor, Context, Decision, EntityKind, IndexRow, Meta
from actors.session_apply import applied, opened, shows
from actors.session_commands import (
    Ack,
    Close,
    CloseDocument,
    Command,
    Enter,
    HandOver,
    Leave,
    OfferHandOff,
    Open,
    OpenDocument,
    Recall,
    Record,
    Resolve,
    Restore,
    Revoke,
    ShowQuarantined,
    SignOut,
    TakeUp,
    Touch,
    WithdrawHandOff,
)
from actors.session_queue import (
    LOGOFF_TIMER,
    ack,
    close,
    logoff_timer,
    open_session,
    recall,
    record,
    touch,
    unknown,
)
from actors.session_rights import resolve, restore, revoke, show_quarantined, sign_out
from actors.session_state import Event, Opened, SessionState, SessionStatus, waiting_here
from actors.session_views import SessionView, session_view
from actors.session_work import (
    close_document,
    enter,
    hand_over,
    leave,
    offer_hand_off,
    open_document,
    take_up,
    withdraw_hand_off,
)


class SessionKind(EntityKind[SessionState]):
    name: ClassVar[str] = "session"
    schema: ClassVar[int] = 1
    sensitive: ClassVar[bool] = True
    commands: ClassVar[tuple[type, ...]] = get_args(Command)
    events: ClassVar[tuple[type, ...]] = get_args(Event)
    state: ClassVar[type] = SessionState

    def decide(self, state: SessionState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, Open):
            return open_session(state, command, ctx)
        if state is None or not self.may_read(state, ctx.actor):
            raise unknown()
        return _HANDLERS[type(command)](state, command, ctx)

    def apply(self, state: SessionState | None, event: Any, meta: Meta) -> SessionState:
        if isinstance(event, Opened):
            return opened(state, event, meta)
        if state is None:
            raise ValueError("a session's journal begins with a device that says hello")
        return applied(state, event, meta)

    def view(self, state: SessionState, signals: dict[str, Any], version: int) -> SessionView:  # noqa: ARG002
        return session_view(state, version)

    def may_read(self, state: SessionState, actor: Actor) -> bool:
        return is_oneself(actor, state.subject) or any(
            parties(actor, organization_id=each) & SEES for each in state.organizations
        )

    def on_timer(self, state: SessionState | None, name: str, ctx: Context) -> Decision:
        return NOTHING if state is None or name != LOGOFF_TIMER else logoff_timer(state, ctx)

    def groups(self, state: SessionState) -> tuple[str, ...]:
        if not state.location_id or state.status is SessionStatus.ENDED:
            return ()
        return (f"location/{state.location_id}/sessions",)

    def tells(self, events: tuple[Any, ...]) -> bool:
        return any(shows(event) for event in events)

    def index_row(self, state: SessionState) -> IndexRow:
        """Nothing that changes with every command, so that most commits do not write it."""
        return IndexRow(
            "provider_sessions",
            {
                "organization_id": state.organizations[0],
                "location_id": state.location_id or None,
                "user_id": state.subject,
                "device_id": state.device_id,
                "status": state.status.value,
                "access": state.access.value,
                "room_id": state.work.room_id or None,
                "patient_id": state.work.patient_id or None,
                "quarantined": len(waiting_here(state)),
                "created_at": state.created_ms,
                "updated_at": state.changed_ms,
            },
        )


_HANDLERS: Final[dict[type, Callable[[SessionState, Any, Context], Decision]]] = {
    Recall: recall,
    Record: record,
    Ack: ack,
    Touch: touch,
    Close: close,
    Enter: enter,
    Leave: leave,
    OpenDocument: open_document,
    CloseDocument: close_document,
    SignOut: sign_out,
    OfferHandOff: offer_hand_off,
    WithdrawHandOff: withdraw_hand_off,
    HandOver: hand_over,
    TakeUp: take_up,
    Revoke: revoke,
    Restore: restore,
    Resolve: resolve,
    ShowQuarantined: show_quarantined,
}

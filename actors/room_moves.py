"""A room's status changes, their undo, and the timers that go with a status."""

from typing import Any, Final

from actors.parties import Party, parties
from actors.room_claims import acts_under_claim, claim_reminders
from actors.room_commands import SetStatus, Undo
from actors.room_state import (
    CLAIM_LEASE_MS,
    HOLD_EXPIRED_REASON,
    HOLD_MINUTES_DEFAULT,
    HOLD_MINUTES_MAX,
    REASON_LENGTH_MAX,
    AlertRaised,
    Phase,
    RoomState,
    StatusChanged,
    StatusUndone,
)
from actors.room_status import (
    CLAIMABLE,
    LONG_WAIT_MS,
    MOVERS,
    TRANSITIONS,
    RoomStatus,
    Transition,
    WaitingFor,
)
from actors.runtime.entity import NOTHING, CancelReminder, Context, Decision, SetReminder
from domain.errors import Conflict, Forbidden, invalid_field
from domain.text import check_id, check_text
from domain.times import MINUTE_MS

HOLD_TIMER: Final = "hold"
LONG_WAIT_TIMER: Final = "long_wait"

Reminders = tuple[SetReminder | CancelReminder, ...]


def set_status(state: RoomState, command: SetStatus, ctx: Context) -> Decision:
    to = _status(command.to)
    sender = parties(ctx.actor, organization_id=state.organization_id)
    if not sender & MOVERS[to]:
        raise Forbidden(f"You cannot set a room to {to.value}.")
    _check_fields(command, to)
    phase = state.phase
    if phase.status is to:
        _check_same(phase, command)
        return NOTHING
    if command.from_ and command.from_ != phase.status.value:
        raise Conflict("The room has moved on.", extra=_current(phase))
    step = TRANSITIONS.get((phase.status, to))
    if step is None:
        message = f"A room that is {phase.status.value} cannot become {to.value}."
        raise Conflict(message, code="invalid_transition", extra=_current(phase))
    _check_sender(command.reason, sender, step, phase)
    if to is RoomStatus.ROOMED and phase.held_for not in {"", command.visit_id}:
        raise Conflict("The room is held for another visit.", code="held_for_another", extra=_current(phase))
    under_claim = acts_under_claim(state, command.token, ctx, exclusive=step.exclusive)
    return _moved(state, command, to, ctx, under_claim=under_claim)


def undo(state: RoomState, command: Undo, ctx: Context) -> Decision:
    """Whoever may make a change may take it back, while it is the last one."""
    phase, previous = state.phase, state.previous
    if previous is None or command.version != state.phase_version:
        raise Conflict("Only the last change can be undone, once.", code="not_undoable", extra=_current(phase))
    step = TRANSITIONS[previous.status, phase.status]
    if not parties(ctx.actor, organization_id=state.organization_id) & step.parties:
        raise Forbidden("You cannot undo this.")
    under_claim = acts_under_claim(state, command.token, ctx, exclusive=step.exclusive)
    event = StatusUndone(
        version=command.version,
        from_=phase.status,
        to=previous.status,
        lease_ms=CLAIM_LEASE_MS if under_claim else 0,
    )
    kept = previous.status in CLAIMABLE
    reminders = _timers(phase, previous.status, previous.waiting_for, previous.since_ms, previous.hold_ms, ctx.now_ms)
    lease = claim_reminders(state, kept=kept, renewed=under_claim, now_ms=ctx.now_ms)
    return Decision((event,), reminders=reminders + lease)


def hold_timer(state: RoomState, ctx: Context) -> Decision:
    """The hold's time is over. A reminder that came early is set again."""
    phase = state.phase
    if phase.status is not RoomStatus.HELD:
        return NOTHING
    if ctx.now_ms < phase.hold_until_ms:
        return Decision(reminders=(SetReminder(HOLD_TIMER, phase.hold_until_ms),))
    command = SetStatus(to="available", reason=HOLD_EXPIRED_REASON)
    return _moved(state, command, RoomStatus.AVAILABLE, ctx, under_claim=False)


def long_wait_timer(state: RoomState, ctx: Context) -> Decision:
    """The room has been in its status for too long: one alert, which goes when the room moves on."""
    phase = state.phase
    threshold_ms = phase.long_wait_ms
    if not threshold_ms or state.alert is not None:
        return NOTHING
    due_ms = phase.since_ms + threshold_ms
    if ctx.now_ms < due_ms:
        return Decision(reminders=(SetReminder(LONG_WAIT_TIMER, due_ms),))
    alert = AlertRaised(
        status=phase.status, since_ms=phase.since_ms, threshold_ms=threshold_ms, waiting_for=phase.waiting_for
    )
    return Decision((alert,))


def _moved(state: RoomState, command: SetStatus, to: RoomStatus, ctx: Context, *, under_claim: bool) -> Decision:
    hold_ms = (command.hold_minutes or HOLD_MINUTES_DEFAULT) * MINUTE_MS if to is RoomStatus.HELD else 0
    event = StatusChanged(
        from_=state.phase.status,
        to=to,
        reason=command.reason,
        waiting_for=command.waiting_for,
        patient_id=command.patient_id,
        visit_id=command.visit_id,
        hold_ms=hold_ms,
        lease_ms=CLAIM_LEASE_MS if under_claim else 0,
    )
    reminders = _timers(state.phase, to, command.waiting_for, ctx.now_ms, hold_ms, ctx.now_ms)
    lease = claim_reminders(state, kept=to in CLAIMABLE, renewed=under_claim, now_ms=ctx.now_ms)
    return Decision((event,), reminders=reminders + lease)


def _timers(was: Phase, to: RoomStatus, waiting_for: str, since_ms: int, hold_ms: int, now_ms: int) -> Reminders:
    """Out with those of the status that ends, in with those of the one that begins."""
    reminders: Reminders = ()
    threshold_ms = LONG_WAIT_MS.get((to, waiting_for), 0)
    if threshold_ms:
        reminders += (SetReminder(LONG_WAIT_TIMER, since_ms + threshold_ms),)
    elif was.long_wait_ms:
        reminders += (CancelReminder(LONG_WAIT_TIMER),)
    if to is RoomStatus.HELD:
        reminders += (SetReminder(HOLD_TIMER, now_ms + hold_ms),)
    elif was.status is RoomStatus.HELD:
        reminders += (CancelReminder(HOLD_TIMER),)
    return reminders


def _status(text: str) -> RoomStatus:
    try:
        return RoomStatus(text)
    except ValueError:
        raise invalid_field("to", "unknown_status", "Not a status of a room.") from None


def _check_fields(command: SetStatus, to: RoomStatus) -> None:
    """Each status takes its own facts and no others."""
    roomed, held, waiting = to is RoomStatus.ROOMED, to is RoomStatus.HELD, to is RoomStatus.WAITING
    for name, allowed in (
        ("patient_id", roomed),
        ("visit_id", roomed or held),
        ("hold_minutes", held),
        ("waiting_for", waiting),
    ):
        if getattr(command, name) and not allowed:
            raise invalid_field(name, "not_allowed", f"Does not go with {to.value}.")
    check_id(command.patient_id, "patient_id", required=roomed)
    check_id(command.visit_id, "visit_id", required=roomed)
    if not 0 <= command.hold_minutes <= HOLD_MINUTES_MAX:
        raise invalid_field("hold_minutes", "out_of_range", f"Must be from 1 to {HOLD_MINUTES_MAX}.")
    if waiting and command.waiting_for not in list(WaitingFor):
        message = "Must be numbing or recovery."
        raise invalid_field("waiting_for", "unknown_wait" if command.waiting_for else "required", message)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX)


def _check_same(phase: Phase, command: SetStatus) -> None:
    """Being there already is a no-op, unless it is there for something else."""
    if command.to == RoomStatus.ROOMED and (command.patient_id, command.visit_id) != (phase.patient_id, phase.visit_id):
        raise Conflict("Another patient is in the room.", code="occupied", extra=_current(phase))
    if command.to == RoomStatus.HELD and command.visit_id not in {"", phase.held_for}:
        raise Conflict("The room is held for another visit.", code="held_for_another", extra=_current(phase))
    if command.to == RoomStatus.WAITING and command.waiting_for != phase.waiting_for:
        raise Conflict("The patient waits for something else.", extra=_current(phase))


def _check_sender(reason: str, sender: frozenset[Party], step: Transition, phase: Phase) -> None:
    movers = sender & step.parties
    if not movers:
        raise Forbidden(f"You cannot do this while the room is {phase.status.value}.")
    if movers <= step.reason:
        check_text(reason, "reason", length_max=REASON_LENGTH_MAX, required=True)


def _current(phase: Phase) -> dict[str, Any]:
    return {"current": phase.status.value}

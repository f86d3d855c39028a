"""Signing out, revocation, and what becomes of commands in quarantine: who may, and what is left of it."""

from typing import Any

from actors.parties import Party, is_oneself, parties
from actors.runtime.entity import NOTHING, CancelReminder, Context, Decision
from actors.session_commands import Resolve, Restore, Revoke, ShowQuarantined, SignOut
from actors.session_queue import LOGOFF_TIMER
from actors.session_state import (
    OUTCOME_LENGTH_MAX,
    REASON_LENGTH_MAX,
    Access,
    Ended,
    EndedBy,
    Quarantined,
    Resolved,
    Restored,
    Revoked,
    SessionState,
    SessionStatus,
    unpacked,
)
from domain.errors import Forbidden, NotFound
from domain.text import check_text
from domain.times import to_rfc3339


def sign_out(state: SessionState, _command: SignOut, ctx: Context) -> Decision:
    if not is_oneself(ctx.actor, state.subject) and not _is_admin(state, ctx):
        raise Forbidden("Only its person or an admin ends a session.")
    if state.status is SessionStatus.ENDED and state.ended_by is not EndedBy.LOGGED_OFF:
        return NOTHING
    return Decision((Ended(by=EndedBy.SIGNED_OUT),), reminders=(CancelReminder(LOGOFF_TIMER),))


def revoke(state: SessionState, command: Revoke, ctx: Context) -> Decision:
    _check_admin(state, ctx)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    access = Access.REVOKED_PERSON if command.what == "person" else Access.REVOKED_DEVICE
    return NOTHING if state.access is access else Decision((Revoked(access=access, reason=command.reason),))


def restore(state: SessionState, _command: Restore, ctx: Context) -> Decision:
    _check_admin(state, ctx)
    if state.access is Access.REVOKED_PERSON and is_oneself(ctx.actor, state.subject):
        raise Forbidden("Another admin takes your revocation back.")
    return NOTHING if state.access is Access.GRANTED else Decision((Restored(),))


def resolve(state: SessionState, command: Resolve, ctx: Context) -> Decision:
    _item(state, command.item_id, ctx)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    check_text(command.outcome, "outcome", length_max=OUTCOME_LENGTH_MAX)
    event = Resolved(item_id=command.item_id, action=command.action, reason=command.reason, outcome=command.outcome)
    return Decision((event,), {"item_id": command.item_id, "action": command.action, "outcome": command.outcome})


def show_quarantined(state: SessionState, command: ShowQuarantined, ctx: Context) -> Decision:
    item = _item(state, command.item_id, ctx)
    refusal = {name: value for name, value in unpacked(item.result).items() if name in {"detail", "errors", "current"}}
    reply: dict[str, Any] = {
        "id": command.item_id,
        "epoch": item.epoch,
        "seq": item.seq,
        "hash": item.hash,
        "organizations": list(item.organizations),
        "code": item.code,
        "at": to_rfc3339(item.at_ms),
        "by": state.subject,
        "device": state.device_id,
        "command": unpacked(item.command),
        **refusal,
    }
    return Decision(reply=reply)


def _item(state: SessionState, item_id: str, ctx: Context) -> Quarantined:
    """For the session's own person, unless their access is gone; for providers and admins of the clinic as of then."""
    item = state.quarantine.get(item_id)
    if item is None:
        raise NotFound("There is no such item.")
    own = is_oneself(ctx.actor, state.subject) and state.access is not Access.REVOKED_PERSON
    deciding = {Party.PROVIDER, Party.ADMIN}
    if not own and not any(parties(ctx.actor, organization_id=each) & deciding for each in item.organizations):
        raise Forbidden("Only its person, a provider or an admin of the clinic decides about it.")
    if is_oneself(ctx.actor, state.subject) and not own:
        raise Forbidden("Your access was revoked.")
    return item


def _is_admin(state: SessionState, ctx: Context) -> bool:
    return any(Party.ADMIN in parties(ctx.actor, organization_id=each) for each in state.organizations)


def _check_admin(state: SessionState, ctx: Context) -> None:
    if not _is_admin(state, ctx):
        raise Forbidden("Only an admin of the clinic does this.")

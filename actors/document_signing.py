"""Signatures, addenda and the other ways through a document's status machine. What is signed stays as it was (C1)."""

from typing import Any, Final

from actors.document_commands import AddAddendum, Cosign, EnterInError, Join, LeaveOff, RejectCosign, SetStatus, Sign
from actors.document_content import content_hash
from actors.document_edits import check_room, check_text_room, check_uuid, moved, occurred
from actors.document_events import AddendumAdded, Event, Joined, LeftOff, Signed
from actors.document_state import DocumentState
from actors.document_status import TRANSITIONS, WRITABLE, Cause, DocumentStatus, after_addendum
from actors.document_values import (
    ADDENDA_MAX,
    INTENT_MS,
    MEANING_LENGTH_MAX,
    PARTICIPANTS_MAX,
    PRINTED_NAME_LENGTH_MAX,
    REASON_LENGTH_MAX,
    REAUTH_MS,
    VALUE_LENGTH_MAX,
)
from actors.parties import is_oneself, parties
from actors.runtime.entity import NOTHING, Context, Decision
from domain.errors import Conflict, Forbidden, invalid_field
from domain.text import check_text

_S: Final = DocumentStatus


def set_status(state: DocumentState, command: SetStatus, ctx: Context) -> Decision:
    to = _status(command.to)
    if to is state.status:
        return NOTHING
    if command.from_ and command.from_ != state.status.value:
        raise Conflict("The document has moved on.", extra=_current(state))
    step = TRANSITIONS.get((state.status, to))
    if step is None or Cause.SET_STATUS not in step.causes:
        raise _no_such_step(state, to)
    return Decision((moved(state, to, Cause.SET_STATUS, ctx),))


def sign(state: DocumentState, command: Sign, ctx: Context) -> Decision:
    """The first signature: freezes the content."""
    _check_words(command)
    if _signed_already(state, command, ctx, cosigner=False):
        return NOTHING
    if state.status is not _S.READY:
        raise _no_such_step(state, _S.SIGNED)
    _check_present(command, ctx)
    if state.needs_cosign and is_oneself(ctx.actor, state.cosigner):
        raise _same_signer()
    open_conflicts = state.open_conflicts
    if open_conflicts:
        raise Conflict("Conflicts are open.", code="conflicts_open", extra={"conflicts": open_conflicts})
    _check_content(state, command)
    to = _S.PENDING_COSIGN if state.needs_cosign else _S.SIGNED
    return _signed(state, command, to, Cause.SIGN, ctx)


def cosign(state: DocumentState, command: Cosign, ctx: Context) -> Decision:
    """The second signature, by another."""
    _check_words(command)
    _check_cosigner(state, ctx)
    if state.status is _S.COSIGNED and _signed_already(state, command, ctx, cosigner=True):
        return NOTHING
    if state.status is not _S.PENDING_COSIGN:
        raise _no_such_step(state, _S.COSIGNED)
    _check_present(command, ctx)
    _check_content(state, command)
    return _signed(state, command, _S.COSIGNED, Cause.COSIGN, ctx)


def reject_cosign(state: DocumentState, command: RejectCosign, ctx: Context) -> Decision:
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    _check_cosigner(state, ctx)
    phase = state.phase
    if state.status is _S.ADDENDUM_REQUIRED and (phase.reason, phase.stamp.by) == (command.reason, ctx.actor.subject):
        return NOTHING
    if state.status is not _S.PENDING_COSIGN:
        raise _no_such_step(state, _S.ADDENDUM_REQUIRED)
    return Decision((moved(state, _S.ADDENDUM_REQUIRED, Cause.REJECT_COSIGN, ctx, command.reason),))


def add_addendum(state: DocumentState, command: AddAddendum, ctx: Context) -> Decision:
    """No `current` goes with a refusal: the text must not be taken for a mere status conflict."""
    addendum_id = check_uuid(command.addendum_id, "addendum_id")
    check_text(command.text, "text", length_max=VALUE_LENGTH_MAX, required=True)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    known = state.addenda.get(addendum_id)
    if known is not None:
        if (known.text, known.reason) == (command.text, command.reason):
            return NOTHING
        raise Conflict("Another addendum has this id.", code="item_exists")
    if state.status is _S.ENTERED_IN_ERROR:
        raise Conflict("The document was entered in error.", code="entered_in_error")
    if state.status in WRITABLE:
        raise Conflict("Nothing is signed yet: change the content.", code="not_signed")
    check_room(len(state.addenda), ADDENDA_MAX, "addenda")
    check_text_room(state, len(command.text) + len(command.reason))
    events: tuple[Event, ...] = (
        AddendumAdded(addendum_id=addendum_id, text=command.text, reason=command.reason, **occurred(ctx)),
    )
    to = after_addendum(state.status, needs_cosign=state.needs_cosign)
    if to is not state.status:
        events += (moved(state, to, Cause.ADD_ADDENDUM, ctx),)
    return Decision(events)


def enter_in_error(state: DocumentState, command: EnterInError, ctx: Context) -> Decision:
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    if state.status is _S.ENTERED_IN_ERROR:
        return NOTHING
    step = TRANSITIONS[state.status, _S.ENTERED_IN_ERROR]
    if not parties(ctx.actor, organization_id=state.organization_id) & step.parties:
        raise Forbidden("Only a provider or an admin enters a document in error.")
    return Decision((moved(state, _S.ENTERED_IN_ERROR, Cause.ENTER_IN_ERROR, ctx, command.reason),))


def join(state: DocumentState, _command: Join, ctx: Context) -> Decision:
    if ctx.actor.subject in state.participants:
        return NOTHING
    check_room(len(state.participants), PARTICIPANTS_MAX, "participants")
    return Decision((Joined(**occurred(ctx)),))


def leave_off(state: DocumentState, _command: LeaveOff, ctx: Context) -> Decision:
    return Decision((LeftOff(**occurred(ctx)),)) if ctx.actor.subject in state.participants else NOTHING


def _signed(state: DocumentState, command: Sign | Cosign, to: DocumentStatus, cause: Cause, ctx: Context) -> Decision:
    event = Signed(
        signature_id=ctx.new_id("signature"),
        meaning=command.meaning,
        printed_name=command.printed_name,
        content_hash=command.content_hash,
        cosigner=cause is Cause.COSIGN,
        **occurred(ctx),
    )
    reply = {"signature_id": event.signature_id, "content_hash": event.content_hash}
    return Decision((event, moved(state, to, cause, ctx)), reply)


def _check_words(command: Sign | Cosign) -> None:
    check_text(command.meaning, "meaning", length_max=MEANING_LENGTH_MAX, required=True)
    check_text(command.printed_name, "printed_name", length_max=PRINTED_NAME_LENGTH_MAX, required=True)
    if not command.content_hash:
        raise invalid_field("content_hash", "required", "Say what you sign.")


def _signed_already(state: DocumentState, command: Sign | Cosign, ctx: Context, *, cosigner: bool) -> bool:
    """Whether the sender has signed this very content. First commit wins: anybody else is told who that was."""
    signatures = [one for one in state.signatures.values() if one.cosigner is cosigner]
    if not signatures:
        return False
    last = signatures[-1]
    if (last.stamp.by, last.content_hash) == (ctx.actor.subject, command.content_hash):
        return True
    raise Conflict("Signed already.", code="taken", extra={"by": last.stamp.by})


def _check_present(command: Sign | Cosign, ctx: Context) -> None:
    """Signing is done by somebody who is there: now, and proven to be who they are."""
    if ctx.now_ms - ctx.occurred_ms > INTENT_MS:
        raise Conflict("Signing must be done online.", code="intent_expired")
    if abs(ctx.now_ms - command.authenticated_ms) > REAUTH_MS:
        raise Forbidden("Prove who you are to sign.", code="reauthentication_required")


def _check_content(state: DocumentState, command: Sign | Cosign) -> None:
    current = content_hash(state)
    if command.content_hash != current:
        raise Conflict("This is not the content now.", code="content_changed", extra={"current": current})


def _check_cosigner(state: DocumentState, ctx: Context) -> None:
    subject = ctx.actor.subject
    if subject == state.signer:
        raise _same_signer()
    if state.cosigner not in {"", subject}:
        raise Forbidden("Another is named to co-sign.")


def _same_signer() -> Forbidden:
    return Forbidden("Signer and co-signer are two people.", code="same_signer")


def _no_such_step(state: DocumentState, to: DocumentStatus) -> Conflict:
    message = f"A document that is {state.status.value} cannot become {to.value} so."
    return Conflict(message, code="invalid_transition", extra=_current(state))


def _status(text: str) -> DocumentStatus:
    try:
        return DocumentStatus(text)
    except ValueError:
        raise invalid_field("to", "unknown_status", "Not a status of a document.") from None


def _current(state: DocumentState) -> dict[str, Any]:
    return {"current": state.status.value}

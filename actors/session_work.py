"""What a provider is at, and its hand-off: offered, then taken by the one it was offered to. The first commit wins."""

from actors.parties import Party, is_oneself, parties
from actors.runtime.entity import NOTHING, CancelReminder, Context, Decision
from actors.session_commands import (
    CloseDocument,
    Enter,
    HandOver,
    Leave,
    OfferHandOff,
    OpenDocument,
    TakeUp,
    WithdrawHandOff,
)
from actors.session_queue import LOGOFF_TIMER, check_own
from actors.session_state import (
    DOCUMENTS_MAX,
    NOTE_LENGTH_MAX,
    OFFERS_MAX,
    Access,
    DocumentClosed,
    DocumentOpened,
    Entered,
    HandedOver,
    HandOffOffered,
    HandOffWithdrawn,
    Left,
    SessionState,
    SessionStatus,
    TakenUp,
)
from domain.errors import Conflict, Forbidden, invalid_field
from domain.text import check_id, check_text


def enter(state: SessionState, command: Enter, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_lives(state)
    check_id(command.room_id, "room_id")
    check_id(command.patient_id, "patient_id", required=False)
    check_id(command.visit_id, "visit_id", required=False)
    work = state.work
    if (command.room_id, command.patient_id, command.visit_id) == (work.room_id, work.patient_id, work.visit_id):
        return NOTHING
    event = Entered(
        room_id=command.room_id, patient_id=command.patient_id, visit_id=command.visit_id, at_ms=ctx.occurred_ms
    )
    return Decision((event,))


def leave(state: SessionState, _command: Leave, ctx: Context) -> Decision:
    check_own(state, ctx)
    return Decision((Left(),)) if state.work.room_id else NOTHING


def open_document(state: SessionState, command: OpenDocument, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_lives(state)
    document_id = check_id(command.document_id, "document_id")
    if document_id in state.work.documents:
        return NOTHING
    check_documents(len(state.work.documents) + 1)
    return Decision((DocumentOpened(document_id=document_id),))


def close_document(state: SessionState, command: CloseDocument, ctx: Context) -> Decision:
    check_own(state, ctx)
    if command.document_id not in state.work.documents:
        return NOTHING
    return Decision((DocumentClosed(document_id=command.document_id),))


def offer_hand_off(state: SessionState, command: OfferHandOff, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_lives(state)
    _check_provider(state, ctx)
    check_id(command.offer_id, "offer_id")
    check_id(command.to, "to")
    check_text(command.note, "note", length_max=NOTE_LENGTH_MAX)
    known = state.offers.get(command.offer_id)
    if known is not None and (known.to, known.note) == (command.to, command.note):
        return NOTHING
    if known is not None or command.offer_id in state.taken:
        raise Conflict("Another offer has this id.", code="offer_exists")
    if len(state.offers) >= OFFERS_MAX:
        raise Conflict("So many hand-offs are open.", code="offers_max", extra={"limit": OFFERS_MAX})
    return Decision((HandOffOffered(offer_id=command.offer_id, to=command.to, note=command.note),))


def withdraw_hand_off(state: SessionState, command: WithdrawHandOff, ctx: Context) -> Decision:
    check_own(state, ctx)
    _check_not_taken(state, command.offer_id)
    if command.offer_id not in state.offers:
        return NOTHING
    return Decision((HandOffWithdrawn(offer_id=command.offer_id),))


def hand_over(state: SessionState, command: HandOver, ctx: Context) -> Decision:
    """Also from a session that has logged off by itself: a locked tablet keeps no patient waiting."""
    _check_provider(state, ctx)
    check_id(command.to_session, "to_session")
    _check_not_taken(state, command.offer_id)
    offer = state.offers.get(command.offer_id)
    if offer is None:
        raise Conflict("There is no such offer any more.", code="not_offered")
    if not is_oneself(ctx.actor, offer.to):
        raise Forbidden("This was offered to somebody else.")
    if command.to_session == state.session_id:
        raise invalid_field("to_session", "same_session", "A session cannot take over from itself.")
    work = state.work
    ended = is_oneself(ctx.actor, state.subject)
    event = HandedOver(
        offer_id=command.offer_id,
        giver=state.subject,
        to=ctx.actor.subject,
        to_session=command.to_session,
        to_device=ctx.device,
        organizations=state.organizations,
        room_id=work.room_id,
        patient_id=work.patient_id,
        visit_id=work.visit_id,
        documents=tuple(work.documents),
        ended=ended,
    )
    reply = {
        "from": state.subject,
        "room_id": work.room_id,
        "patient_id": work.patient_id,
        "visit_id": work.visit_id,
        "documents": list(work.documents),
        "note": offer.note,
    }
    return Decision((event,), reply, reminders=(CancelReminder(LOGOFF_TIMER),) if ended else ())


def take_up(state: SessionState, command: TakeUp, ctx: Context) -> Decision:
    check_own(state, ctx)
    check_takes_over(state)
    check_documents(len({*state.work.documents, *command.documents}))
    event = TakenUp(
        offer_id=command.offer_id,
        from_session=command.from_session,
        room_id=command.room_id,
        patient_id=command.patient_id,
        visit_id=command.visit_id,
        documents=command.documents,
    )
    return Decision((event,))


def check_takes_over(state: SessionState) -> None:
    """Raises `Conflict` or `Forbidden` unless work can be handed to this session."""
    _check_lives(state)
    if state.access is not Access.GRANTED:
        raise Forbidden("This session was revoked.")


def _check_lives(state: SessionState) -> None:
    if state.status is SessionStatus.ENDED:
        raise Conflict("The session has ended.", code="session_ended")


def _check_provider(state: SessionState, ctx: Context) -> None:
    if not any(Party.PROVIDER in parties(ctx.actor, organization_id=each) for each in state.organizations):
        raise Forbidden("Only providers hand over.")


def _check_not_taken(state: SessionState, offer_id: str) -> None:
    by = state.taken.get(offer_id)
    if by is not None:
        raise Conflict("Another has taken it.", code="taken", extra={"by": by})


def check_documents(count: int) -> None:
    """Raises `Conflict` with `documents_max` for more than can be open at once."""
    if count > DOCUMENTS_MAX:
        raise Conflict("So many documents are open.", code="documents_max", extra={"limit": DOCUMENTS_MAX})

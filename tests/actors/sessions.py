"""The people of a clinic, their tablets and a session on the desk, for tests of the provider session."""

from typing import Any

import pytest

from actors.runtime.entity import Actor, Decision
from actors.session import SessionKind
from actors.session_commands import Enter, OfferHandOff, Open, OpenDocument, Outcome, Record, session_id_of
from actors.session_state import SessionState
from domain.errors import AtriumError, Conflict, Failure
from tests.actors.desk import Desk
from tests.actors.rooms import ADA, CLINIC, FRED, PIA, QUINN, STRANGERS

__all__ = ["ADA", "CLINIC", "FRED", "PIA", "QUINN", "STRANGERS"]

TABLET = "tablet-1"
OTHER_CLINIC = "clinic-2"

VISIT = Enter(room_id="room-1", patient_id="patient-1", visit_id="visit-1")

Session = Desk[SessionState]


def session_desk(actor: Actor = PIA, tablet: str = TABLET) -> Session:
    """Nobody has come by this device yet."""
    return Desk(SessionKind(), session_id_of(actor.subject, tablet))


def opening(epoch: int = 1, first_unacked: int = 1, **fields: Any) -> Open:
    known = {"device_id": TABLET, "conn_id": "c-1", "organizations": (CLINIC,), "location_id": "location-1"}
    return Open(epoch=epoch, first_unacked=first_unacked, **(known | fields))


def hello(desk: Session, epoch: int = 1, first_unacked: int = 1, actor: Actor = PIA, **fields: Any) -> dict[str, Any]:
    return reply(desk.do(opening(epoch, first_unacked, **fields), actor, TABLET))


def reply(decision: Decision) -> dict[str, Any]:
    assert decision.reply is not None
    return decision.reply


def new_session(actor: Actor = PIA) -> Session:
    desk = session_desk(actor)
    hello(desk, actor=actor)
    return desk


def done(seq: int, epoch: int = 1, body: str = "", **result: Any) -> Outcome:
    """The command with this number was executed; its body is named by `body`."""
    return Outcome(epoch=epoch, seq=seq, hash=hash_of(seq, body), result={"status": "applied", "ver": seq, **result})


def refused_outcome(seq: int, epoch: int = 1, body: str = "", size: int = 1, code: str = "point_unknown") -> Outcome:
    """The command was refused and holds clinical facts: it goes into quarantine."""
    return Outcome(
        epoch=epoch,
        seq=seq,
        hash=hash_of(seq, body),
        result={"status": "rejected", "code": code, "detail": "No such point."},
        command={"ent": "document/d-1", "op": "add_point", "args": {"note": "x" * size}, "hlc": "h"},
        item_id=item_of(seq, epoch, body),
    )


def hash_of(seq: int, body: str = "") -> bytes:
    return f"{seq}:{body}".encode()


def item_of(seq: int, epoch: int = 1, body: str = "") -> str:
    return f"item-{epoch}-{seq}{body}"


def recorded(desk: Session, *entries: Outcome, generation: int | None = None, actor: Actor = PIA) -> Decision:
    assert desk.state is not None
    newest = desk.state.generation if generation is None else generation
    return desk.do(Record(generation=newest, entries=entries), actor, TABLET)


def refused(desk: Session, command: object, actor: Actor, error: type[AtriumError] = Conflict) -> Failure:
    version = desk.version
    with pytest.raises(error) as caught:
        desk.do(command, actor)
    assert desk.version == version
    return caught.value.failure


def at_work() -> Session:
    desk = new_session()
    desk.do(VISIT, PIA)
    desk.do(OpenDocument(document_id="d-1"), PIA)
    return desk


def offered(*offers: tuple[str, str]) -> Session:
    desk = at_work()
    for offer_id, to in offers or (("offer-1", "quinn"),):
        desk.do(OfferHandOff(offer_id=offer_id, to=to, note="20 units are left"), PIA)
    return desk


def with_quarantine() -> Session:
    desk = new_session()
    recorded(desk, done(1), refused_outcome(2))
    return desk

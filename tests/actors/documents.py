"""A treatment document on the desk, for tests of the document."""

from typing import Any

from actors.document import DocumentKind
from actors.document_commands import (
    AddPoint,
    AppendNote,
    AttachPhoto,
    Cosign,
    Create,
    OpenContainer,
    PerformPoint,
    RecordWastage,
    SetField,
    SetStatus,
    Sign,
)
from actors.document_content import content_hash
from actors.document_state import DocumentState
from actors.runtime.entity import Actor
from domain.hlc import stamp
from domain.ids import derived_id
from tests.actors.desk import Desk
from tests.actors.rooms import ADA, CLINIC, FRED, PIA, QUINN, STRANGERS, refused

__all__ = ["ADA", "CLINIC", "FRED", "PIA", "QUINN", "STRANGERS", "refused"]

RITA = Actor("rita", ("provider",), (CLINIC,))
NEW: dict[str, Any] = {
    "organization_id": CLINIC,
    "location_id": "location-1",
    "patient_id": "patient-1",
    "visit_id": "visit-1",
    "template": "toxin",
    "title": "Upper face",
}
VIAL: dict[str, Any] = {"container_id": "vial-1", "product_id": "toxin-a", "lot": "L1", "amount": "20", "unit": "U"}
DRAW: dict[str, Any] = {"product_id": "toxin-a", "dose": "4", "unit": "U", "lot": "L1", "container_id": "vial-1"}
GLABELLA: dict[str, Any] = {"view": "front", "x": 500, "y": 340}
PHOTO: dict[str, Any] = {
    "view": "front",
    "sha256": "ab" * 32,
    "media_type": "image/jpeg",
    "bytes": 2_000_000,
    "taken_at": "2026-01-01T00:00:00Z",
}

Document = Desk[DocumentState]


def uid(name: str) -> str:
    return derived_id("test", name)


def new_document(**fields: Any) -> Document:
    desk: Document = Desk(DocumentKind(), "document-1")
    desk.do(Create(**{**NEW, **fields}), PIA)
    return desk


def point(name: str = "p", **fields: Any) -> AddPoint:
    """A performed injection; with `planned=True` a plan."""
    return AddPoint(**{"point_id": uid(name), **GLABELLA, **DRAW, **fields})


def perform(name: str = "p", **fields: Any) -> PerformPoint:
    return PerformPoint(**{"point_id": uid(name), **DRAW, **fields})


def vial(**fields: Any) -> OpenContainer:
    return OpenContainer(**{**VIAL, **fields})


def wastage(name: str = "w", **fields: Any) -> RecordWastage:
    told = {"container_id": "vial-1", "amount": "1", "unit": "U", "reason": "left in the needle"}
    return RecordWastage(**{"wastage_id": uid(name), **told, **fields})


def note(name: str = "n", **fields: Any) -> AppendNote:
    return AppendNote(**{"note_id": uid(name), "text": "Tolerated well.", **fields})


def photo(name: str = "f", **fields: Any) -> AttachPhoto:
    return AttachPhoto(**{"photo_id": uid(name), **PHOTO, **fields})


def signature(desk: Document, **fields: Any) -> dict[str, Any]:
    return {
        "meaning": "I performed this treatment",
        "printed_name": "Pia Provider, NP",
        "content_hash": hash_of(desk),
        "authenticated_ms": desk.now_ms,
        **fields,
    }


def ready(desk: Document) -> Document:
    desk.do(SetStatus(to="ready"), PIA)
    return desk


def signed(desk: Document) -> Document:
    ready(desk).do(Sign(**signature(desk)), PIA)
    return desk


def cosigned(desk: Document) -> Document:
    signed(desk).do(Cosign(**signature(desk)), QUINN)
    return desk


def charted(**fields: Any) -> Document:
    """A document with something of everything."""
    desk = new_document(**fields)
    desk.do(SetField(name="history.allergies", value="none"), PIA)
    desk.do(vial(), PIA)
    desk.do(point(), PIA)
    desk.do(point("planned", planned=True), PIA)
    desk.do(wastage(), PIA)
    desk.do(note(), PIA)
    desk.do(photo(), PIA)
    return desk


def hash_of(desk: Document) -> str:
    assert desk.state is not None
    return content_hash(desk.state)


def status_of(desk: Document) -> str:
    assert desk.state is not None
    return desk.state.status.value


def field(desk: Document, name: str = "plan.notes") -> Any:
    return desk.view()["fields"][name]["value"]


def fver(desk: Document, name: str = "plan.notes") -> int:
    found: int = desk.view()["fields"][name]["fver"]
    return found


def alerts(desk: Document) -> set[tuple[str, str]]:
    return {(alert["kind"], alert["subject"]) for alert in desk.view()["alerts"].values()}


def at(ms: int) -> str:
    return stamp(ms, 0, "d")

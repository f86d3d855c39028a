"""Treatment documents. Each look at one, and each search, is in the audit trail as REST's is."""

from typing import Any

import msgspec
import strawberry
from strawberry.scalars import JSON

from actors.document_status import DocumentStatus as DocumentStatusKind
from serve.graphql.connections import FIRST, connection, first_of
from serve.graphql.context import Context, Info, computed, known_id, reads
from serve.graphql.derive import Long, Moment, Shown, described, enumerated, keyed, shape, shows
from serve.graphql.links import (
    read_document,
    to_document,
    to_location,
    to_organization,
    to_person,
    to_product,
)
from serve.platform.pages import place_of
from services.document_history import HistoryEntry
from services.document_listings import DocumentEntry as DocumentRow
from services.document_listings import DocumentFilter
from services.listings import Place

DocumentStatus = enumerated(DocumentStatusKind)


async def read_history(context: Context, document_id: str) -> Shown:
    entries = await context.runtime.documents.history(context.sender, document_id)
    return {"items": msgspec.to_builtins(list(entries))}


async def _history(root: Shown, info: Info) -> list[Shown]:
    """Everything that happened, oldest first. That is audited."""
    entries: list[Shown] = (await info.context.load(read_history, root["id"]))["items"]
    return entries


def _conflicts(root: Shown) -> list[str]:
    return list(root.get("conflicts", ()))


def _items(name: str, kind: Any) -> Any:
    return computed(keyed(name, "id"), list[kind])


@described
class Stamped:
    """By whom and when; `recordedAt` where it arrived later than it happened, `deviceClock` where that was wrong."""

    by: str
    at: Moment
    device: str | None
    recorded_at: Moment | None
    device_clock: str | None


@described
class DocumentField(Stamped):
    """A register: its value, the version that a change of it is based on, and the open conflicts about it."""

    name: str
    value: JSON
    fver: Long
    conflicts = computed(_conflicts, list[strawberry.ID])


@described
class PointInjection(Stamped):
    """What was injected. `dose` is decimal text in `unit`."""

    product_id: strawberry.ID
    dose: str
    unit: str
    lot: str | None
    container_id: strawberry.ID | None
    product = to_product()


@described
class PointStrike(Stamped):
    """It was entered in error."""

    reason: str


@described
class DocumentPoint(Stamped):
    """A place on the map of the face: planned, injected, struck. `fver` has the version of each of its properties."""

    id: strawberry.ID
    view: str
    x: Long
    y: Long
    region: str | None
    technique: str | None
    depth: str | None
    plan: JSON | None
    fver: JSON
    injection: PointInjection | None
    struck: PointStrike | None
    conflicts = computed(_conflicts, list[strawberry.ID])


@described
class DocumentContainer(Stamped):
    """A vial or syringe that the treatment draws from."""

    id: strawberry.ID
    container_id: strawberry.ID
    product_id: strawberry.ID
    amount: str
    unit: str
    lot: str | None
    expires_on: str | None
    single_dose: bool | None
    product = to_product()


@described
class Wastage(Stamped):
    """What was drawn and not injected."""

    id: strawberry.ID
    container_id: strawberry.ID
    amount: str
    unit: str
    reason: str


@described
class DocumentNote(Stamped):
    """A note; it is added to, never changed."""

    id: strawberry.ID
    text: str
    section: str | None


@described
class DocumentPhoto(Stamped):
    """A reference to a photo that is stored elsewhere."""

    id: strawberry.ID
    view: str
    sha256: str
    media_type: str
    bytes: Long
    taken_at: Moment


@described
class ConflictValue(Stamped):
    """One of the two values of a conflict."""

    value: JSON
    fver: Long
    reason: str | None


@described
class ConflictResolution(Stamped):
    """What somebody has decided, and the value that this replaced."""

    value: JSON
    reason: str
    replaced: JSON | None


@described
class DocumentConflict:
    """Two values for one register, both kept for ever; `status` is `open` or `resolved`."""

    id: strawberry.ID
    register: str
    status: str
    current: ConflictValue
    offered: ConflictValue
    resolution: ConflictResolution | None


@described
class Signature(Stamped):
    """Who signed which content, as what."""

    id: strawberry.ID
    meaning: str
    printed_name: str
    content_hash: str
    cosigner: bool


@described
class Addendum(Stamped):
    """A correction beside what is signed."""

    id: strawberry.ID
    label: str
    text: str
    reason: str


@described
class DocumentAlert:
    """Something that does not add up."""

    id: strawberry.ID
    kind: str
    subject: str
    at: Moment


@described
class Participant:
    """Somebody who wrote in the document."""

    subject: str
    since: Moment
    person = to_person("subject")


@described
class StatusStamp(Stamped):
    """When the document came to a status."""

    status: str
    cause: str | None
    reason: str | None


@shows(HistoryEntry)
class DocumentHistoryEntry:
    """`at`: when it happened on the device; `recordedAt`: when it arrived."""

    details: JSON | None


@described
class Document:
    """A treatment document as it is now. `contentHash` is what a signature signs."""

    id: strawberry.ID
    version: Long
    organization_id: strawberry.ID
    location_id: strawberry.ID
    patient_id: strawberry.ID
    visit_id: strawberry.ID | None
    template: str
    title: str | None
    author: str
    needs_cosign: bool
    cosigner: str | None
    status: DocumentStatus  # type: ignore[valid-type]
    since: Moment
    reason: str | None
    created_at: Moment
    updated_at: Moment
    content_hash: str
    open_conflicts: Long
    stamps = computed(keyed("stamps", "status"), list[StatusStamp])
    fields = computed(keyed("fields", "name"), list[DocumentField])
    points = _items("points", DocumentPoint)
    containers = _items("containers", DocumentContainer)
    wastage = _items("wastage", Wastage)
    notes = _items("notes", DocumentNote)
    photos = _items("photos", DocumentPhoto)
    conflicts = _items("conflicts", DocumentConflict)
    late_entries = computed(keyed("late_entries", "id"), list[JSON], "Facts that arrived after the signature.")
    signatures = _items("signatures", Signature)
    addenda = _items("addenda", Addendum)
    alerts = _items("alerts", DocumentAlert)
    participants = computed(keyed("participants", "subject"), list[Participant])
    organization = to_organization()
    location = to_location()
    history = reads("documentation", _history, list[DocumentHistoryEntry])


@shows(DocumentRow)
class DocumentEntry:
    """A document as it is listed, without anything that was charted."""

    location = to_location()
    document = to_document()


async def document(info: Info, id: strawberry.ID) -> Shown:
    """A treatment document, for the people of its clinic. That is audited."""
    return await info.context.load(read_document, known_id(id))


async def documents(
    info: Info,
    patient_id: strawberry.ID | None = None,
    location_id: strawberry.ID | None = None,
    status: list[DocumentStatus] | None = None,  # type: ignore[valid-type]
    first: int = FIRST,
    after: str | None = None,
) -> Shown:
    """Documents of your organizations, newest first. Who was shown is audited."""
    wanted = DocumentFilter(
        patient_id=patient_id or "",
        location_id="" if location_id is None else known_id(location_id),
        statuses=tuple(DocumentStatusKind(each) for each in dict.fromkeys(status or [])),
    )
    return await documents_of(info, wanted, first, after)


async def cosign_queue(
    info: Info, location_id: strawberry.ID | None = None, first: int = FIRST, after: str | None = None
) -> Shown:
    """What waits for a second signature that you may give: yours by name, or nobody's."""
    context, limit = info.context, first_of(info, first)
    where = "" if location_id is None else known_id(location_id)
    rows, last = await context.runtime.documents.cosign_queue(context.sender, where, place_of(after), limit)
    places = [Place(row.created_at_ms, row.id) for row in rows]
    return connection([shape(row) for row in rows], places, more=last is not None)


async def documents_of(info: Info, wanted: DocumentFilter, first: int, after: str | None) -> Shown:
    """A page of them."""
    context, limit = info.context, first_of(info, first)
    rows, last = await context.runtime.documents.list(context.sender, wanted, place_of(after), limit)
    places = [Place(row.created_at_ms, row.id) for row in rows]
    return connection([shape(row) for row in rows], places, more=last is not None)

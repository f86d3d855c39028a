"""Treatment documents over HTTP: made, read, listed, signed. Every answer that shows one is in the audit trail."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from actors import document_commands as commands
from domain.ids import derived_id, new_id
from serve.documentation import schemas, shown
from serve.documentation.parts import (
    MUTATION,
    UNKNOWN,
    execute,
    item_id,
    point_of,
    reader_of,
    statuses_of,
)
from serve.platform.answers import read_answer, sender_of, view_answer
from serve.platform.call import Answer, Call, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import page, place_of
from serve.platform.routing import Id, entity_router, problems
from services.document_history import HistoryEntry
from services.document_listings import DocumentFilter
from services.documents import told

router = entity_router("/documentation", "documentation")

_BAD = {"_422": "The request is not valid: `errors` has field paths."}
PROOF = "proof"


class _History(msgspec.Struct):
    items: list[HistoryEntry]


@router.post("/face-chart", status_code=201, response_model=shown.Document, responses=MUTATION)
async def create_face_chart(call: Call, body: schemas.CreateFaceChart) -> Answer:
    """A new document with its face chart (providers). What it would refuse is refused before anything is written."""
    key = call.idempotency_key()
    fresh = new_id() if key is None else derived_id("document", call.actor.subject, key)
    document_id = body.document_id or fresh
    create = commands.Create(
        organization_id=body.organization_id,
        location_id=body.location_id,
        patient_id=body.patient_id,
        template=body.template,
        visit_id=body.visit_id,
        title=body.title,
        needs_cosign=body.needs_cosign,
        cosigner=body.cosigner or "",
    )
    points = [point_of(call, point, str(at)) for at, point in enumerate(body.points)]
    answered, repeated = await call.runtime.charts.create(sender_of(call), document_id, create, points)
    answer = view_answer(answered, HTTPStatus.CREATED, f"{API_PREFIX}/documentation/{document_id}")
    return _marked(answer, repeated)


@router.get("", response_model=shown.DocumentPage, responses=problems(**UNKNOWN, **_BAD))
async def list_documents(call: Call, query: Annotated[schemas.DocumentList, Query()]) -> Answer:
    """Documents of your organizations, newest first."""
    wanted = DocumentFilter(
        patient_id=query.patient, location_id=query.location or "", statuses=statuses_of(query.status)
    )
    after = place_of(query.cursor)
    rows, last = await call.runtime.documents.list(reader_of(call), wanted, after, query.limit)
    return page([shown.listed(row) for row in rows], last)


@router.get("/cosign-queue", response_model=shown.DocumentPage, responses=problems(**UNKNOWN, **_BAD))
async def list_cosign_queue(call: Call, query: Annotated[schemas.CosignQueue, Query()]) -> Answer:
    """What waits for a second signature that you may give: yours by name, or nobody's."""
    after, location_id = place_of(query.cursor), query.location or ""
    rows, last = await call.runtime.documents.cosign_queue(reader_of(call), location_id, after, query.limit)
    return page([shown.listed(row) for row in rows], last)


@router.get("/{document_id}", response_model=shown.Document, responses=problems(**UNKNOWN))
async def get_document(call: Call, document_id: Id) -> Answer:
    """The document as it is now. `content_hash` is what a signature of it signs."""
    return read_answer(call, await call.runtime.documents.get(reader_of(call), document_id))


@router.get("/{document_id}/history", response_model=shown.DocumentHistory, responses=problems(**UNKNOWN))
async def get_history(call: Call, document_id: Id) -> Answer:
    """Everything that happened, oldest first."""
    return json_answer(_History(list(await call.runtime.documents.history(reader_of(call), document_id))))


@router.post("/{document_id}/status", response_model=shown.Document, responses=MUTATION)
async def set_status(call: Call, document_id: Id, body: schemas.SetDocumentStatus) -> Answer:
    """Ready to be signed, or back to draft. Being there already is no error."""
    from_ = "" if body.from_ is None else body.from_.value
    return await execute(call, document_id, commands.SetStatus(to=body.status, from_=from_))


@router.post("/{document_id}/sign", response_model=shown.Document, responses=MUTATION)
async def sign(call: Call, document_id: Id, body: schemas.SignDocument) -> Answer:
    """Sign what is ready (providers): the content is as you read it, no conflict is open, and you are you."""
    command = commands.Sign(meaning=body.meaning, printed_name=body.printed_name, content_hash=body.content_hash)
    return await _sign(call, document_id, command, body.proof)


@router.post("/{document_id}/cosign", response_model=shown.Document, responses=MUTATION)
async def cosign(call: Call, document_id: Id, body: schemas.SignDocument) -> Answer:
    """Sign as the second, what another has signed."""
    command = commands.Cosign(meaning=body.meaning, printed_name=body.printed_name, content_hash=body.content_hash)
    return await _sign(call, document_id, command, body.proof)


@router.post("/{document_id}/reject-cosign", response_model=shown.Document, responses=MUTATION)
async def reject_cosign(call: Call, document_id: Id, body: schemas.GiveReason) -> Answer:
    """Demand an addendum instead; the signed content stays as it is."""
    return await execute(call, document_id, commands.RejectCosign(body.reason))


@router.post("/{document_id}/addenda", response_model=shown.Document, responses=MUTATION)
async def add_addendum(call: Call, document_id: Id, body: schemas.AddAddendum) -> Answer:
    """Correct or complete what is signed, beside it."""
    addendum_id = item_id(call, body.addendum_id, "addendum")
    return await execute(
        call, document_id, commands.AddAddendum(addendum_id=addendum_id, text=body.text, reason=body.reason)
    )


@router.post("/{document_id}/entered-in-error", response_model=shown.Document, responses=MUTATION)
async def enter_in_error(call: Call, document_id: Id, body: schemas.GiveReason) -> Answer:
    """The whole document is not valid. It stays readable; there is no way back."""
    return await execute(call, document_id, commands.EnterInError(body.reason))


async def _sign(call: Call, document_id: str, command: commands.Sign | commands.Cosign, proof: str) -> Answer:
    sender = sender_of(call, leave_out=PROOF)  # a repeat may come with a newer proof
    return view_answer(told(await call.runtime.documents.sign(sender, document_id, command, proof)))


def _marked(answer: Answer, repeated: bool) -> Answer:
    """`answer` with the sign of a repeat exactly if it is one."""
    mark = (b"idempotent-replayed", b"true")
    answer.headers = [each for each in answer.headers if each != mark] + ([mark] if repeated else [])
    return answer

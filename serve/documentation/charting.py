"""Charting over HTTP: fields, points, containers, notes, photos, conflicts. Each answers with the document."""

from typing import Any

from msgspec import UNSET, Raw, Struct

from actors import document_commands as commands
from actors.document_values import Injection
from serve.documentation import schemas, shown
from serve.documentation.parts import MUTATION, execute, item_id, point_of
from serve.platform.answers import replayed, sender_of
from serve.platform.call import Answer, Call, etag, json_answer
from serve.platform.routing import Id, entity_router

router = entity_router("/documentation", "documentation")


class _Results(Struct):
    results: dict[str, dict[str, object]]
    document: Raw


@router.patch("/{document_id}/fields", response_model=shown.FieldResults, responses=MUTATION)
async def set_fields(call: Call, document_id: Id, body: schemas.SetFields) -> Answer:
    """Set registers, each by itself: `results` says which were applied, and which were stale and became conflicts.

    When all of them are refused, the answer is the first refusal.
    """
    edits = [
        commands.SetField(name=name, value=edit.value, base_version=edit.base_version)
        for name, edit in body.fields.items()
    ]
    outcomes, answered, repeated = await call.runtime.charts.set_fields(sender_of(call), document_id, edits)
    results = {name: shown.result(outcome) for name, outcome in outcomes.items()}
    headers = [(b"etag", etag(answered.version)), *replayed(repeated)]
    return json_answer(_Results(results, Raw(answered.view)), headers=headers)


@router.post("/{document_id}/points", response_model=shown.Document, responses=MUTATION)
async def add_point(call: Call, document_id: Id, body: schemas.Point) -> Answer:
    """Plan a point, or record an injection. The same point again is no error."""
    return await execute(call, document_id, point_of(call, body))


@router.patch("/{document_id}/points/{point_id}", response_model=shown.Document, responses=MUTATION)
async def set_point(call: Call, document_id: Id, point_id: Id, body: schemas.SetPlan) -> Answer:
    """Change one property of a planned point."""
    given: dict[str, Any] = {name: UNSET if value is None else value for name, value in body.model_dump().items()}
    return await execute(call, document_id, commands.SetPoint(point_id=point_id, **given))


@router.post("/{document_id}/points/{point_id}/perform", response_model=shown.Document, responses=MUTATION)
async def perform_point(call: Call, document_id: Id, point_id: Id, body: schemas.Injected) -> Answer:
    """A planned point was injected."""
    return await execute(call, document_id, commands.PerformPoint(point_id=point_id, **body.model_dump()))


@router.post("/{document_id}/points/{point_id}/strike", response_model=shown.Document, responses=MUTATION)
async def strike_point(call: Call, document_id: Id, point_id: Id, body: schemas.Strike) -> Answer:
    """The point was entered in error: it stays visible and counts no more."""
    return await execute(call, document_id, commands.StrikePoint(point_id=point_id, reason=body.reason))


@router.post("/{document_id}/notes", response_model=shown.Document, responses=MUTATION)
async def append_note(call: Call, document_id: Id, body: schemas.AppendNote) -> Answer:
    note_id = item_id(call, body.note_id, "note")
    return await execute(call, document_id, commands.AppendNote(note_id=note_id, text=body.text, section=body.section))


@router.post("/{document_id}/containers", response_model=shown.Document, responses=MUTATION)
async def open_container(call: Call, document_id: Id, body: schemas.OpenContainer) -> Answer:
    """A vial or syringe that this treatment draws from."""
    return await execute(call, document_id, commands.OpenContainer(**body.model_dump()))


@router.post("/{document_id}/wastage", response_model=shown.Document, responses=MUTATION)
async def record_wastage(call: Call, document_id: Id, body: schemas.RecordWastage) -> Answer:
    wastage_id = item_id(call, body.wastage_id, "wastage")
    fields = body.model_dump(exclude={"wastage_id"})
    return await execute(call, document_id, commands.RecordWastage(wastage_id=wastage_id, **fields))


@router.post("/{document_id}/photos", response_model=shown.Document, responses=MUTATION)
async def attach_photo(call: Call, document_id: Id, body: schemas.AttachPhoto) -> Answer:
    """Refer to a photo that is stored elsewhere."""
    photo_id = item_id(call, body.photo_id, "photo")
    fields = body.model_dump(exclude={"photo_id"})
    return await execute(call, document_id, commands.AttachPhoto(photo_id=photo_id, **fields))


@router.post("/{document_id}/conflicts/{conflict_id}/resolve", response_model=shown.Document, responses=MUTATION)
async def resolve_conflict(call: Call, document_id: Id, conflict_id: Id, body: schemas.ResolveConflict) -> Answer:
    """Close a conflict with either of its values or a third."""
    value = Injection(**body.value.model_dump()) if isinstance(body.value, schemas.Injected) else body.value
    command = commands.Resolve(conflict_id=conflict_id, value=value, reason=body.reason, base_version=body.base_version)
    return await execute(call, document_id, command)

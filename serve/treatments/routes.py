"""Treatments over HTTP: what was done, in the document that it is charted in."""

from http import HTTPStatus
from typing import Any

from actors import document_commands as commands
from domain.errors import FieldError, Invalid
from serve.documentation import shown
from serve.documentation.parts import MUTATION, UNKNOWN, execute, item_id, reader_of
from serve.platform.answers import read_answer
from serve.platform.call import Answer, Call
from serve.platform.routing import Id, entity_router, problems
from serve.treatments import schemas

router = entity_router("/treatments", "treatments")


@router.post("/injectable", status_code=201, response_model=shown.Document, responses=MUTATION)
async def record_injection(call: Call, body: schemas.RecordInjection) -> Answer:
    """Record an injection that was performed, as charting it does. The same again is no error."""
    injected = body.model_dump(include={"product_id", "dose", "unit", "lot", "container_id"})
    return await execute(call, body.document_id, _command(call, body, injected), HTTPStatus.CREATED)


@router.get("/{treatment_id}", response_model=shown.Document, responses=problems(**UNKNOWN))
async def get_treatment(call: Call, treatment_id: Id) -> Answer:
    """The document of this id, as a record of the treatment."""
    return read_answer(call, await call.runtime.documents.get(reader_of(call), treatment_id))


def _command(
    call: Call, body: schemas.RecordInjection, injected: dict[str, Any]
) -> commands.AddPoint | commands.PerformPoint:
    """Without any place it is the planned point's."""
    place = {name: value for name in ("view", "x", "y") if (value := getattr(body, name)) is not None}
    if body.point_id is not None and not place:
        if body.technique or body.depth:
            name = "technique" if body.technique else "depth"
            raise _invalid(FieldError(name, "not_allowed", "This is in the plan."))
        return commands.PerformPoint(point_id=body.point_id, **injected)
    missing = [FieldError(name, "missing", "Where was it?") for name in ("view", "x", "y") if name not in place]
    if missing:
        raise _invalid(*missing)
    point_id = item_id(call, body.point_id, "point")
    return commands.AddPoint(point_id=point_id, technique=body.technique, depth=body.depth, **place, **injected)


def _invalid(*errors: FieldError) -> Invalid:
    return Invalid("The request is not valid.", errors=errors)

"""What the routes of documentation and of treatments have in common."""

from collections.abc import Iterable
from typing import Any, Final

from actors import document_commands as commands
from actors.document_status import DocumentStatus
from domain.errors import invalid_field
from domain.ids import derived_id, new_id
from serve.documentation import schemas
from serve.platform.answers import sender_of, view_answer
from serve.platform.call import Answer, Call
from serve.platform.routing import problems
from services.documents import told
from services.entities import Sender

UNKNOWN: Final = {"_404": "Unknown, or not your organization's."}
MUTATION: Final = problems(
    _403="Yours to see, not yours to do.",
    **UNKNOWN,
    _409="Not in this status, or `conflict_recorded`: another value was set meanwhile, and both are kept.",
    _412="`If-Match` is stale.",
    _422="The request is not valid: `errors` has field paths.",
)


def reader_of(call: Call) -> Sender:
    """Whoever reads by this request."""
    return Sender(call.actor, call.correlation)


async def execute(call: Call, document_id: str, command: Any, status: int = 200) -> Answer:
    """The document after the command."""
    answered = await call.runtime.documents.execute(sender_of(call), document_id, command)
    return view_answer(told(answered), status)


def item_id(call: Call, given: str | None, *what: str) -> str:
    """The id of something new: the client's, else the one that a repeat of this request gives again, else a new one."""
    if given is not None:
        return given
    key = call.idempotency_key()
    return new_id() if key is None else derived_id("item", call.actor.subject, call.scope["path"], key, *what)


def point_of(call: Call, body: schemas.Point, *what: str) -> commands.AddPoint:
    fields = body.model_dump(exclude={"point_id"})
    return commands.AddPoint(point_id=item_id(call, body.point_id, "point", *what), **fields)


def statuses_of(text: str) -> tuple[DocumentStatus, ...]:
    """Several statuses, separated by commas."""
    try:
        return tuple(DocumentStatus(each.strip()) for each in _split(text))
    except ValueError:
        raise invalid_field("status", "unknown_status", "Not a status of a document.") from None


def _split(text: str) -> Iterable[str]:
    return text.split(",") if text.strip() else ()

"""Answers made from what an entity answered: its view as it is, its version as the ETag."""

from http import HTTPStatus

from serve.platform.call import Answer, Call, etag
from serve.platform.problems import RawHeaders
from services.entities import Answered, Sender

_REPLAYED = (b"idempotent-replayed", b"true")


def sender_of(call: Call, leave_out: str = "") -> Sender:
    """Whoever sends a command by this request: with its Idempotency-Key and If-Match.

    `leave_out`: a field of the body that may differ in a repeat.
    """
    return Sender(call.actor, call.correlation, call.command_id(), call.body_hash(leave_out), call.expected_version())


def view_answer(answered: Answered, status: int = HTTPStatus.OK, location: str = "") -> Answer:
    """The view after a command. A repeat has the status and the body of the first answer (M9)."""
    headers: RawHeaders = [(b"etag", etag(answered.version))]
    if location:
        headers.append((b"location", location.encode()))
    if answered.duplicate:
        headers.append(_REPLAYED)
    return Answer(answered.view, status, headers)


def read_answer(call: Call, answered: Answered) -> Answer:
    """The view that was asked for, or 304 when the client has it."""
    return versioned(call, answered.version, answered.view)


def versioned(call: Call, version: int, body: bytes) -> Answer:
    """What changes only with the entity's version, or 304 when the client has it."""
    headers: RawHeaders = [(b"etag", etag(version))]
    if call.has_version(version):
        return Answer(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Answer(body, headers=headers)


def replayed(repeated: bool) -> RawHeaders:
    return [_REPLAYED] if repeated else []

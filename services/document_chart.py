"""Several commands to one document by one request: a face chart with its points, a form with its fields."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.document_commands import AddPoint, Create, SetField
from actors.runtime.entity import Actor, Context, EntityKind, Meta
from actors.runtime.wire import VIEW_JSON, VIEW_NONE
from domain.errors import Conflict, Failure, FieldError, Invalid, Rejected
from domain.ids import derived_command_id, new_command_id
from services.documents import Documents
from services.entities import Answered, Sender
from services.lookups import Clock


class FieldOutcome(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of one register: `applied`, `conflict` (both values are kept) or `rejected` (`failure` says why)."""

    status: str
    conflict_id: str = ""
    current: Any = msgspec.UNSET
    failure: Failure | None = None


class DocumentCharts:
    def __init__(self, documents: Documents, kind: EntityKind[Any], clock: Clock) -> None:
        self._documents = documents
        self._kind = kind
        self._clock = clock

    async def create(
        self, sender: Sender, document_id: str, command: Create, points: Sequence[AddPoint]
    ) -> tuple[Answered, bool]:
        """A new document with these points, and whether it was there before.

        What the document would refuse is refused before anything is written. Repeated with the same command id, it
        adds what is missing.
        """
        await self._documents.check_created(sender.actor, command)
        for at, point in enumerate(points):
            if point.product_id:
                path = f"points.{at}.product_id"
                await self._documents.check_product(command.organization_id, point.product_id, path)
        rehearse(self._kind, sender.actor, document_id, (command, *points), self._clock.now_ms())
        made = await self._documents.create(sender, document_id, command, VIEW_NONE if points else VIEW_JSON)
        if not points:
            return made, made.duplicate
        await asyncio.gather(
            *(self._documents.execute(_step(sender, point.point_id), document_id, point, VIEW_NONE) for point in points)
        )
        return await self._documents.get(sender, document_id, "create"), made.duplicate

    async def set_fields(
        self, sender: Sender, document_id: str, edits: Sequence[SetField]
    ) -> tuple[dict[str, FieldOutcome], Answered, bool]:
        """What became of each, the document after that, and whether all of it repeats an earlier answer.

        Each register is set by a command of its own: one that is refused or stale leaves the others alone.
        `sender.expect` is of the first. When all of them are refused, the first refusal is raised.
        """
        outcomes: dict[str, FieldOutcome] = {}
        refused: Rejected | None = None
        replayed = True
        for edit in edits:
            try:
                answered = await self._documents.execute(_step(sender, edit.name), document_id, edit, VIEW_NONE)
            except (Conflict, Invalid) as refusal:
                outcomes[edit.name] = FieldOutcome(status="rejected", failure=_at(refusal, edit.name).failure)
                refused = refused or _at(refusal, edit.name)
            else:
                reply = answered.data or {}
                outcomes[edit.name] = FieldOutcome(
                    status="conflict" if "conflict_id" in reply else "applied",
                    conflict_id=reply.get("conflict_id", ""),
                    current=reply.get("current", msgspec.UNSET),
                )
                replayed = replayed and answered.duplicate
            sender = msgspec.structs.replace(sender, expect=-1)
        if refused is not None and all(one.failure is not None for one in outcomes.values()):
            raise refused
        return outcomes, await self._documents.get(sender, document_id, "set_field"), replayed


def rehearse(kind: EntityKind[Any], actor: Actor, document_id: str, commands: Sequence[Any], now_ms: int) -> None:
    """Raise what the entity would, if these were the first commands of a new document.

    All but the first are points; their fields' paths begin with `points.N.`.
    """
    state = None
    for version, command in enumerate(commands):
        command_id = new_command_id()
        ctx = Context(kind.name, document_id, version, now_ms, actor, "", command_id)
        try:
            decision = kind.decide(state, command, ctx)
        except Rejected as refusal:
            raise (_at(refusal, f"points.{version - 1}") if version else refusal) from None
        for event in decision.events:
            state = kind.apply(state, event, Meta(version + 1, now_ms, actor.subject, "", command_id))


def _step(sender: Sender, name: str) -> Sender:
    """The sender of one of several commands: a repeat of the request repeats each."""
    if sender.command_id is None:
        return sender
    return msgspec.structs.replace(sender, command_id=derived_command_id(sender.command_id, name))


def _at(refusal: Rejected, path: str) -> Rejected:
    """The same refusal, its fields' paths below `path`."""
    failure = refusal.failure
    errors = tuple(FieldError(f"{path}.{each.path}", each.code, each.message) for each in failure.errors)
    return type(refusal)(failure.detail, code=failure.code, errors=errors, extra=failure.extra)

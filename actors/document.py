"""The live treatment document: registers that never change unseen, facts that are never refused, signatures.

Providers and admins of the clinic's organization see it; to everyone else, the front desk too, it looks unknown.
Providers write; an admin only enters it in error.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, get_args

from actors.document_apply import applied, created
from actors.document_commands import (
    AddAddendum,
    AddPoint,
    AppendNote,
    AttachPhoto,
    Command,
    Cosign,
    Create,
    EnterInError,
    Join,
    LeaveOff,
    OpenContainer,
    PerformPoint,
    RecordWastage,
    RejectCosign,
    Resolve,
    SetField,
    SetPoint,
    SetStatus,
    Sign,
    StrikePoint,
)
from actors.document_edits import occurred
from actors.document_events import Created, Event
from actors.document_facts import (
    add_point,
    append_note,
    attach_photo,
    open_container,
    perform_point,
    record_wastage,
    strike_point,
)
from actors.document_registers import resolve, set_field, set_point
from actors.document_signing import (
    add_addendum,
    cosign,
    enter_in_error,
    join,
    leave_off,
    reject_cosign,
    set_status,
    sign,
)
from actors.document_state import DocumentState
from actors.document_status import SEES, DocumentStatus
from actors.document_values import TEMPLATE_LENGTH_MAX, TITLE_LENGTH_MAX
from actors.document_views import document_view
from actors.parties import Party, parties
from actors.runtime.entity import NOTHING, Actor, Context, Decision, EntityKind, IndexRow, Meta
from domain.errors import Conflict, Forbidden, NotFound, invalid_field
from domain.text import check_id, check_text


class DocumentKind(EntityKind[DocumentState]):
    name: ClassVar[str] = "document"
    schema: ClassVar[int] = 1
    sensitive: ClassVar[bool] = True
    commands: ClassVar[tuple[type, ...]] = get_args(Command)
    events: ClassVar[tuple[type, ...]] = get_args(Event)
    state: ClassVar[type] = DocumentState

    def decide(self, state: DocumentState | None, command: Any, ctx: Context) -> Decision:
        if state is not None and not self.may_read(state, ctx.actor):
            raise _unknown()
        if isinstance(command, Create):
            return _create(state, command, ctx)
        if state is None:
            raise _unknown()
        if not isinstance(command, EnterInError):
            _check_provider(state.organization_id, ctx.actor)
        return _HANDLERS[type(command)](state, command, ctx)

    def apply(self, state: DocumentState | None, event: Any, meta: Meta) -> DocumentState:
        if isinstance(event, Created):
            return created(event, meta)
        if state is None:
            raise ValueError("a document's journal begins with its creation")
        return applied(state, event, meta)

    def view(self, state: DocumentState, signals: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG002
        return document_view(state, version)

    def may_read(self, state: DocumentState, actor: Actor) -> bool:
        return bool(parties(actor, organization_id=state.organization_id) & SEES)

    def groups(self, state: DocumentState) -> tuple[str, ...]:
        if not state.is_open:
            return ()
        groups: tuple[str, ...] = (f"location/{state.location_id}/documents",)
        if state.status is DocumentStatus.PENDING_COSIGN:
            groups += (f"location/{state.location_id}/cosign",)
        return (*groups, *(f"user/{subject}/documents" for subject in state.participants))

    def index_row(self, state: DocumentState) -> IndexRow:
        """No clinical content. `cosigner`: who has co-signed, else who is named to. Times in milliseconds."""
        cosigners = [one.stamp.by for one in state.signatures.values() if one.cosigner]
        return IndexRow(
            "documents",
            {
                "organization_id": state.organization_id,
                "location_id": state.location_id,
                "patient_id": state.patient_id,
                "visit_id": state.visit_id or None,
                "author": state.author,
                "signer": state.signer or None,
                "cosigner": (cosigners[-1] if cosigners else state.cosigner) or None,
                "status": state.status.value,
                "template": state.template,
                "participants": sorted(state.participants),
                "conflicts_count": len(state.open_conflicts),
                "alerts_count": len(state.alerts),
                "created_at": state.created.recorded_ms,
                "updated_at": state.updated_ms,
            },
        )


def _create(state: DocumentState | None, command: Create, ctx: Context) -> Decision:
    organization_id = check_id(command.organization_id, "organization_id")
    _check_provider(organization_id, ctx.actor)
    event = Created(
        document_id=ctx.id,
        organization_id=organization_id,
        location_id=check_id(command.location_id, "location_id"),
        patient_id=check_id(command.patient_id, "patient_id"),
        template=check_text(command.template, "template", length_max=TEMPLATE_LENGTH_MAX, required=True),
        visit_id=check_id(command.visit_id, "visit_id", required=False),
        title=check_text(command.title, "title", length_max=TITLE_LENGTH_MAX),
        needs_cosign=command.needs_cosign,
        cosigner=check_id(command.cosigner, "cosigner", required=False),
        **occurred(ctx),
    )
    if event.cosigner and not event.needs_cosign:
        raise invalid_field("cosigner", "not_allowed", "Goes with needs_cosign.")
    if state is None:
        return Decision((event,))
    if all(getattr(state, name) == getattr(event, name) for name in _IDENTITY):
        return NOTHING
    raise Conflict("Another document has this id.", code="document_exists")


_IDENTITY: Final = (
    "organization_id",
    "location_id",
    "patient_id",
    "template",
    "visit_id",
    "title",
    "needs_cosign",
    "cosigner",
)
_HANDLERS: Final[dict[type, Callable[[DocumentState, Any, Context], Decision]]] = {
    SetField: set_field,
    AddPoint: add_point,
    SetPoint: set_point,
    PerformPoint: perform_point,
    StrikePoint: strike_point,
    OpenContainer: open_container,
    RecordWastage: record_wastage,
    AppendNote: append_note,
    AttachPhoto: attach_photo,
    Join: join,
    LeaveOff: leave_off,
    Resolve: resolve,
    SetStatus: set_status,
    Sign: sign,
    Cosign: cosign,
    RejectCosign: reject_cosign,
    AddAddendum: add_addendum,
    EnterInError: enter_in_error,
}


def _check_provider(organization_id: str, actor: Actor) -> None:
    if Party.PROVIDER not in parties(actor, organization_id=organization_id):
        raise Forbidden("Only a provider of the organization writes in a document.")


def _unknown() -> NotFound:
    return NotFound("There is no such document.")

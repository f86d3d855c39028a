"""What people see of a provider session. No nulls, and nothing clinical: what is in quarantine is named, not shown."""

import msgspec

from actors.session_state import Access, EndedBy, SessionState, SessionStatus, waiting_here
from domain.times import to_rfc3339


class QuarantinedView(msgspec.Struct, gc=False, omit_defaults=True):
    """A command that waits to be resolved: which one, and under what code it was refused."""

    epoch: int
    seq: int
    ent: str
    op: str
    code: str
    at: str


class OfferView(msgspec.Struct, gc=False):
    to: str
    at: str


class SessionView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`generation` names the newest connection. `documents` are the open ones by id, since when."""

    id: str
    version: int
    subject: str
    device_id: str
    organizations: tuple[str, ...]
    location_id: str = ""
    status: SessionStatus
    ended_by: EndedBy | msgspec.UnsetType = msgspec.UNSET
    access: Access
    access_reason: str = ""
    generation: int
    epoch: int
    last_seq: int
    since: str
    active_at: str
    room_id: str = ""
    patient_id: str = ""
    visit_id: str = ""
    room_since: str = ""
    documents: dict[str, str] = {}
    hand_offs: dict[str, OfferView] = {}
    quarantine: dict[str, QuarantinedView] = {}


def session_view(state: SessionState, version: int) -> SessionView:
    work = state.work
    return SessionView(
        id=state.session_id,
        version=version,
        subject=state.subject,
        device_id=state.device_id,
        organizations=state.organizations,
        location_id=state.location_id,
        status=state.status,
        ended_by=msgspec.UNSET if state.ended_by is None else state.ended_by,
        access=state.access,
        access_reason=state.access_reason,
        generation=state.generation,
        epoch=state.epoch,
        last_seq=state.counts[state.epoch].last_seq,
        since=to_rfc3339(state.created_ms),
        active_at=to_rfc3339(state.active_ms),
        room_id=work.room_id,
        patient_id=work.patient_id,
        visit_id=work.visit_id,
        room_since=to_rfc3339(work.since_ms) if work.room_id else "",
        documents={id_: to_rfc3339(since) for id_, since in work.documents.items()},
        hand_offs={id_: OfferView(offer.to, to_rfc3339(offer.at_ms)) for id_, offer in state.offers.items()},
        quarantine={
            id_: QuarantinedView(item.epoch, item.seq, item.ent, item.op, item.code, to_rfc3339(item.at_ms))
            for id_, item in waiting_here(state).items()
        },
    )

"""A provider session, and a command in its quarantine, as they are listed."""

import msgspec

from actors.session_views import QuarantinedView
from domain.times import to_rfc3339
from services.session_listings import ListedSession


class Listed(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    version: int
    organization_id: str
    location_id: str = ""
    subject: str
    device_id: str
    status: str
    access: str
    room_id: str = ""
    patient_id: str = ""
    quarantined: int = 0
    since: str
    updated_at: str


class Waiting(QuarantinedView, kw_only=True):
    id: str


class _Quarantine(msgspec.Struct):
    quarantine: dict[str, QuarantinedView] = {}


def listed(row: ListedSession) -> Listed:
    return Listed(
        id=row.id,
        version=row.version,
        organization_id=row.organization_id,
        location_id=row.location_id,
        subject=row.user_id,
        device_id=row.device_id,
        status=row.status,
        access=row.access,
        room_id=row.room_id,
        patient_id=row.patient_id,
        quarantined=row.quarantined,
        since=to_rfc3339(row.created_at_ms),
        updated_at=to_rfc3339(row.updated_at_ms),
    )


def waiting(view: bytes) -> list[Waiting]:
    """What is in the quarantine of an encoded session, the oldest first."""
    items = msgspec.json.decode(view, type=_Quarantine).quarantine
    return [Waiting(**msgspec.structs.asdict(item), id=item_id) for item_id, item in items.items()]

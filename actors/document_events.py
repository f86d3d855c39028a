"""A document's events. By whom, on which device and when they arrived is in the journal row.

`at_ms` is when the device says that it happened; `hlc_raw` what it said when its clock was too far ahead.
"""

import msgspec

from actors.document_status import DocumentStatus
from actors.document_values import Injection, Value


class Occurred(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    at_ms: int
    hlc_raw: str = ""


class Created(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="created"):
    document_id: str
    organization_id: str
    location_id: str
    patient_id: str
    template: str
    visit_id: str = ""
    title: str = ""
    needs_cosign: bool = False
    cosigner: str = ""


class RegisterSet(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="register_set"):
    """`register` is a field's name, or `point/<id>/<property>` of a planned point."""

    register: str
    value: str | int | bool


class ConflictRaised(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="conflict_raised"):
    """`offered` came with a stale `offered_fver`; the register keeps `current`, of `current_fver`, for the time being.

    `register` may also be `point/<id>/injection`: two accounts of what was injected at one point.
    """

    conflict_id: str
    register: str
    current: Value
    current_fver: int
    offered: Value
    offered_fver: int = 0
    reason: str = ""


class ConflictResolved(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="conflict_resolved"):
    """The register holds `value` from now on. `replaced` is what it held, if that was none of the conflict's two."""

    conflict_id: str
    value: Value
    reason: str
    replaced: Value | msgspec.UnsetType = msgspec.UNSET


class PointAdded(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="point_added"):
    """`injection` of a performed one; else it is planned, and `plan` has what is known (the dose as `2.5 U`)."""

    point_id: str
    view: str
    x: int
    y: int
    region: str = ""
    technique: str = ""
    depth: str = ""
    injection: Injection | None = None
    plan: dict[str, str] = {}


class PointPerformed(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="point_performed"):
    point_id: str
    injection: Injection


class PointStruck(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="point_struck"):
    point_id: str
    reason: str


class ContainerOpened(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="container_opened"):
    container_id: str
    product_id: str
    amount: str
    unit: str
    lot: str = ""
    expires_on: str = ""
    single_dose: bool = False


class WastageRecorded(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="wastage_recorded"):
    wastage_id: str
    container_id: str
    amount: str
    unit: str
    reason: str


class NoteAppended(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="note_appended"):
    note_id: str
    text: str
    section: str = ""


class PhotoAttached(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="photo_attached"):
    photo_id: str
    view: str
    sha256: str
    media_type: str
    bytes: int
    taken_ms: int


Fact = PointAdded | PointPerformed | ContainerOpened | WastageRecorded | NoteAppended | PhotoAttached
"""What happened, whatever the status of the document says: never refused for it."""


class LateEntered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="late_entered"):
    """A fact that arrived after the content was frozen. It stands beside it."""

    entry_id: str
    fact: Fact


class Joined(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="joined"):
    pass


class LeftOff(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="left_off"):
    pass


class StatusChanged(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="status_changed"):
    to: DocumentStatus
    from_: DocumentStatus = msgspec.field(name="from")
    cause: str
    reason: str = ""


class Signed(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="signed"):
    """`cosigner`: it is the second signature. The hash is of the frozen content (C1)."""

    signature_id: str
    meaning: str
    printed_name: str
    content_hash: str
    cosigner: bool = False


class AddendumAdded(Occurred, frozen=True, omit_defaults=True, kw_only=True, tag="addendum_added"):
    addendum_id: str
    text: str
    reason: str


class AlertRaised(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="alert_raised"):
    """Something does not add up. `kind` (`document_alerts.AlertKind`) about `subject`, an id."""

    kind: str
    subject: str


class AlertCleared(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="alert_cleared"):
    """It adds up again: what was missing came, or what was wrong was struck."""

    kind: str
    subject: str


Event = (
    Created
    | RegisterSet
    | ConflictRaised
    | ConflictResolved
    | PointAdded
    | PointPerformed
    | PointStruck
    | ContainerOpened
    | WastageRecorded
    | NoteAppended
    | PhotoAttached
    | LateEntered
    | Joined
    | LeftOff
    | StatusChanged
    | Signed
    | AddendumAdded
    | AlertRaised
    | AlertCleared
)

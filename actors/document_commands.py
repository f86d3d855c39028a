"""What can be asked of a treatment document. The tag is the operation's name in the API, the protocol and the journal.

Ids of items (points, notes, photos, wastage, addenda) are UUIDs that the sender chooses: the same id with the same
content again is a no-op, with other content it is refused with `item_exists`. Doses and amounts are decimal text with
at most three decimals (`"2.5"`), with a unit `U` or `mL`. Positions on the face are integer thousandths, 0 to 1000.
`base_version` is the version at which the sender saw the register last change (its `fver`), 0 for never.
"""

import msgspec

from actors.document_values import Injection

Scalar = str | int | bool


class Create(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="create"):
    """Begin the document, by a provider of the organization. The id is the sender's to choose, also offline.

    The same again is a no-op; with anything different `document_exists`. `cosigner` goes only with `needs_cosign`.
    """

    organization_id: str
    location_id: str
    patient_id: str
    template: str
    visit_id: str = ""
    title: str = ""
    needs_cosign: bool = False
    cosigner: str = ""


class SetField(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="set_field"):
    """Set a register. `name` is `section.field`: `[a-z][a-z0-9_.]{0,63}`."""

    name: str
    value: Scalar
    base_version: int = 0


class AddPoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="add_point"):
    """Add a point: `planned`, or an injection that was performed, which needs `product_id`, `dose` and `unit`."""

    point_id: str
    view: str
    x: int
    y: int
    product_id: str = ""
    dose: str = ""
    unit: str = ""
    lot: str = ""
    container_id: str = ""
    technique: str = ""
    depth: str = ""
    planned: bool = False


class SetPoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="set_point"):
    """Set one property of a planned point: exactly one of them; `dose` goes with its `unit`, as one register."""

    point_id: str
    product_id: str | msgspec.UnsetType = msgspec.UNSET
    dose: str | msgspec.UnsetType = msgspec.UNSET
    unit: str | msgspec.UnsetType = msgspec.UNSET
    lot: str | msgspec.UnsetType = msgspec.UNSET
    container_id: str | msgspec.UnsetType = msgspec.UNSET
    technique: str | msgspec.UnsetType = msgspec.UNSET
    depth: str | msgspec.UnsetType = msgspec.UNSET
    base_version: int = 0


class PerformPoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="perform_point"):
    """A planned point was injected. Performed already with the same content: no-op; with other content: a conflict."""

    point_id: str
    product_id: str
    dose: str
    unit: str
    lot: str = ""
    container_id: str = ""


class StrikePoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="strike_point"):
    """The point was entered in error: it stays visible and counts no more."""

    point_id: str
    reason: str


class OpenContainer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="open_container"):
    """A vial or syringe that this treatment draws from. `expires_on` is a date, `2027-03-31`."""

    container_id: str
    product_id: str
    amount: str
    unit: str
    lot: str = ""
    expires_on: str = ""
    single_dose: bool = False


class RecordWastage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="record_wastage"):
    wastage_id: str
    container_id: str
    amount: str
    unit: str
    reason: str


class AppendNote(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="append_note"):
    note_id: str
    text: str
    section: str = ""


class AttachPhoto(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="attach_photo"):
    """A reference to a photo that is stored elsewhere. `taken_at` is RFC 3339; `bytes` its size."""

    photo_id: str
    view: str
    sha256: str
    media_type: str
    bytes: int
    taken_at: str


class Join(msgspec.Struct, frozen=True, omit_defaults=True, tag="join"):
    """Take part in the encounter. Who writes in the document takes part by itself."""


class LeaveOff(msgspec.Struct, frozen=True, omit_defaults=True, tag="leave_off"):
    pass


class Resolve(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="resolve"):
    """Close a conflict with either of its values or a third.

    With a `base_version` that is stale by now, the value becomes a conflict of its own and this one stays open.
    """

    conflict_id: str
    value: Scalar | Injection
    reason: str
    base_version: int = 0


class SetStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="set_status"):
    """`draft` to `ready` and back. `from` that is not the current status: `conflict` with `{"current": ...}`."""

    to: str
    from_: str = msgspec.field(default="", name="from")


class Sign(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="sign"):
    """Sign what is `ready`. `content_hash` is of the content that the signer saw.

    `authenticated_ms`: when the signer proved who they are, filled in by the service.
    """

    meaning: str
    printed_name: str
    content_hash: str
    authenticated_ms: int = 0


class Cosign(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="cosign"):
    """Sign as the second, what another has signed."""

    meaning: str
    printed_name: str
    content_hash: str
    authenticated_ms: int = 0


class RejectCosign(msgspec.Struct, frozen=True, omit_defaults=True, tag="reject_cosign"):
    """An addendum is required; the signed content stays as it is."""

    reason: str


class AddAddendum(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="add_addendum"):
    """Correct or complete what is signed, beside it."""

    addendum_id: str
    text: str
    reason: str


class EnterInError(msgspec.Struct, frozen=True, omit_defaults=True, tag="enter_in_error"):
    """The whole document is not valid. It stays readable; there is no way back."""

    reason: str


Command = (
    Create
    | SetField
    | AddPoint
    | SetPoint
    | PerformPoint
    | StrikePoint
    | OpenContainer
    | RecordWastage
    | AppendNote
    | AttachPhoto
    | Join
    | LeaveOff
    | Resolve
    | SetStatus
    | Sign
    | Cosign
    | RejectCosign
    | AddAddendum
    | EnterInError
)

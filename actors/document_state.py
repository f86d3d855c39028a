"""The state that a document's events add up to. Content, and beside it what has become of it."""

import msgspec

from actors.document_events import Fact, PointAdded
from actors.document_status import OPEN, WRITABLE, DocumentStatus
from actors.document_values import Injection, Value


class Stamp(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Who did it, on which device, when it happened there (`at_ms`) and when it arrived (`recorded_ms`)."""

    by: str
    at_ms: int
    recorded_ms: int
    device: str = ""
    hlc_raw: str = ""


class Register(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A value, the version that it came with, and by whom.

    `base_fver`: the version that the register had before the unbroken run of changes by this person on this device.
    Who made the run knows all that came since, though the queue of an offline device cannot name those versions yet.
    """

    value: str | int | bool
    fver: int
    stamp: Stamp
    base_fver: int = 0


class Strike(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    reason: str
    stamp: Stamp


class Performed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A fact: what was injected, and the version at which the document learned it."""

    injection: Injection
    fver: int
    stamp: Stamp


class Point(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`plan` has a register for each property of a planned point; `performed` is there once it was injected."""

    added: PointAdded
    stamp: Stamp
    plan: dict[str, Register] = {}
    performed: Performed | None = None
    struck: Strike | None = None


class Item(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A container, wastage, a note or a photo: the fact as it was told, and its stamp."""

    fact: Fact
    stamp: Stamp


class Resolution(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    value: Value
    reason: str
    stamp: Stamp
    replaced: Value | msgspec.UnsetType = msgspec.UNSET


class Conflict(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Two values of one register, both kept for ever; `current_stamp` says whose the first is, `stamp` the other."""

    register: str
    current: Value
    current_fver: int
    current_stamp: Stamp
    offered: Value
    stamp: Stamp
    offered_fver: int = 0
    reason: str = ""
    resolution: Resolution | None = None


class Signature(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    meaning: str
    printed_name: str
    content_hash: str
    stamp: Stamp
    cosigner: bool = False


class Addendum(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    text: str
    reason: str
    stamp: Stamp


class Phase(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A status, and how the document came to it."""

    status: DocumentStatus
    stamp: Stamp
    cause: str = ""
    reason: str = ""


class Alert(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    kind: str
    subject: str
    at_ms: int


class DocumentState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`phases` has the newest stamp of every status that the document has been in. `text_length` is of all its texts.

    Conflicts stay when they are resolved; `late` holds facts that came after the content was frozen.
    """

    document_id: str
    organization_id: str
    location_id: str
    patient_id: str
    template: str
    created: Stamp
    phase: Phase
    updated_ms: int
    visit_id: str = ""
    title: str = ""
    needs_cosign: bool = False
    cosigner: str = ""
    phases: dict[str, Phase] = {}
    participants: dict[str, Stamp] = {}
    fields: dict[str, Register] = {}
    points: dict[str, Point] = {}
    containers: dict[str, Item] = {}
    wastage: dict[str, Item] = {}
    notes: dict[str, Item] = {}
    photos: dict[str, Item] = {}
    conflicts: dict[str, Conflict] = {}
    late: dict[str, Item] = {}
    signatures: dict[str, Signature] = {}
    addenda: dict[str, Addendum] = {}
    alerts: dict[str, Alert] = {}
    text_length: int = 0

    @property
    def status(self) -> DocumentStatus:
        return self.phase.status

    @property
    def author(self) -> str:
        return self.created.by

    @property
    def writable(self) -> bool:
        return self.status in WRITABLE

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def open_conflicts(self) -> list[str]:
        return [key for key, conflict in self.conflicts.items() if conflict.resolution is None]

    @property
    def signer(self) -> str:
        """Who signed as the first, "" while nobody has."""
        return next((one.stamp.by for one in self.signatures.values() if not one.cosigner), "")

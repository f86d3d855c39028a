"""A provider session's events and the state they add up to."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from actors.session_commands import Outcome
from domain.times import HOUR_MS, MINUTE_MS

AUTO_LOGOFF_MS: Final = 15 * MINUTE_MS
"""An active session ends this long after the last sign of somebody."""
AWAY_LOGOFF_MS: Final = 12 * HOUR_MS
"""One whose device is away ends after this. Coming back revives it."""
TOUCH_STEP_MS: Final = MINUTE_MS
"""A touch so soon after the last sign of life is not written down."""
RESULTS_KEPT: Final = 128
"""Newest results of an epoch that are kept, acknowledged or not; and of all epochs before it together."""
UNACKED_MAX: Final = 1_024
"""Results the device has not acknowledged; past it, it has to wait."""
ACKS_GATHERED: Final = 32
"""Acknowledgements are written down this many at a time."""
RECORD_ENTRIES_MAX: Final = 64
"""Outcomes in one `record`."""
RESULT_BYTES_MAX: Final = 4_096
"""A kept result, packed; a larger one is kept without its bulky parts."""
RECALL_BYTES_MAX: Final = 64 * 1024
"""Results in one reply to `recall`, packed."""
EPOCHS_MAX: Final = 1_000
"""Epochs of one device at one session. Their watermarks are kept for ever."""
QUARANTINE_ITEMS_MAX: Final = 500
"""Unresolved commands in quarantine."""
DECIDED_KEPT: Final = 512
"""Newest items of the quarantine that were resolved: sent once more, they do not come back."""
QUARANTINE_BYTES_MAX: Final = 2 * 1024 * 1024
"""The same, packed."""
DOCUMENTS_MAX: Final = 50
"""Documents open at once."""
OFFERS_MAX: Final = 8
"""Hand-offs offered at once."""
OFFERS_REMEMBERED: Final = 32
"""Newest offers of which the session still knows who took them."""
NOTE_LENGTH_MAX: Final = 500
REASON_LENGTH_MAX: Final = 500
OUTCOME_LENGTH_MAX: Final = 200
HASH_BYTES_MAX: Final = 32
ORGANIZATIONS_MAX: Final = 50

assert TOUCH_STEP_MS * 5 <= AUTO_LOGOFF_MS < AWAY_LOGOFF_MS  # noqa: S101 - a touch that was let pass logs nobody off
assert RECORD_ENTRIES_MAX + ACKS_GATHERED < UNACKED_MAX  # noqa: S101 - who acknowledges everything is never held up
assert RESULT_BYTES_MAX * 4 <= RECALL_BYTES_MAX  # noqa: S101 - a page of results makes progress


class SessionStatus(StrEnum):
    ACTIVE = "active"
    AWAY = "away"
    ENDED = "ended"


class EndedBy(StrEnum):
    LOGGED_OFF = "logged_off"
    SIGNED_OUT = "signed_out"
    HANDED_OFF = "handed_off"


class Access(StrEnum):
    GRANTED = "granted"
    REVOKED_PERSON = "revoked_person"
    REVOKED_DEVICE = "revoked_device"


class Opened(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="opened"):
    """`adopted`: where the watermark of an epoch begins that the session has not seen. `acked`: as of the hello."""

    session_id: str
    subject: str
    device_id: str
    generation: int
    epoch: int
    conn_id: str
    organizations: tuple[str, ...]
    location_id: str = ""
    adopted: int = 0
    acked: int = 0


class Recorded(msgspec.Struct, frozen=True, kw_only=True, tag="recorded"):
    """Outcomes in order. One whose `seq` was counted before (another body under the same number) changes no
    watermark and no result: it only comes into quarantine."""

    entries: tuple[Outcome, ...]


class Acked(msgspec.Struct, frozen=True, kw_only=True, tag="acked"):
    epoch: int
    upto: int


class Touched(msgspec.Struct, frozen=True, tag="touched"):
    pass


class WentAway(msgspec.Struct, frozen=True, tag="went_away"):
    """The newest connection has ended."""


class Entered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="entered"):
    """`at_ms`: when, by the device's clock."""

    room_id: str
    at_ms: int
    patient_id: str = ""
    visit_id: str = ""


class Left(msgspec.Struct, frozen=True, tag="left"):
    pass


class DocumentOpened(msgspec.Struct, frozen=True, kw_only=True, tag="document_opened"):
    document_id: str


class DocumentClosed(msgspec.Struct, frozen=True, kw_only=True, tag="document_closed"):
    document_id: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    by: EndedBy


class HandOffOffered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="hand_off_offered"):
    offer_id: str
    to: str
    note: str = ""


class HandOffWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="hand_off_withdrawn"):
    offer_id: str


class HandedOver(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="handed_over"):
    """All that the session of `giver` had goes to `to_session` of the provider `to`, at `to_device`. `ended`: so does
    the session, for it was handed to its own person's other device."""

    offer_id: str
    giver: str
    to: str
    to_session: str
    organizations: tuple[str, ...]
    to_device: str = ""
    room_id: str = ""
    patient_id: str = ""
    visit_id: str = ""
    documents: tuple[str, ...] = ()
    ended: bool = False


class TakenUp(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="taken_up"):
    offer_id: str
    from_session: str
    room_id: str = ""
    patient_id: str = ""
    visit_id: str = ""
    documents: tuple[str, ...] = ()


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag="revoked"):
    access: Access
    reason: str


class Restored(msgspec.Struct, frozen=True, tag="restored"):
    pass


class Resolved(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="resolved"):
    item_id: str
    action: str
    reason: str
    outcome: str = ""


Event = (
    Opened
    | Recorded
    | Acked
    | Touched
    | WentAway
    | Entered
    | Left
    | DocumentOpened
    | DocumentClosed
    | Ended
    | HandOffOffered
    | HandOffWithdrawn
    | HandedOver
    | TakenUp
    | Revoked
    | Restored
    | Resolved
)


class Kept(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The first result of one `seq`, packed, and the hash of the body that it answered."""

    hash: bytes
    result: bytes


class Count(msgspec.Struct, omit_defaults=True):
    """One epoch of the device's queue: how far it was counted and acknowledged, and the results kept, by `seq`."""

    last_seq: int = 0
    acked: int = 0
    results: dict[int, Kept] = {}


class Quarantined(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A command that waits for people; `command` and `result` are packed. `organizations`: whose people, as of then."""

    epoch: int
    seq: int
    hash: bytes
    ent: str
    op: str
    code: str
    at_ms: int
    command: bytes
    result: bytes
    organizations: tuple[str, ...]


class Offer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    to: str
    at_ms: int
    note: str = ""


class Work(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the provider is at: the room, its patient and visit since when, the open documents by id since when."""

    room_id: str = ""
    patient_id: str = ""
    visit_id: str = ""
    since_ms: int = 0
    documents: dict[str, int] = {}


class SessionState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`epoch` is the highest one seen; `counts` has every epoch ever seen. `changed_ms`: when something that lists
    show changed last. `work` outlasts an automatic logoff: the room waits, and a colleague may take it."""

    session_id: str
    subject: str
    device_id: str
    organizations: tuple[str, ...]
    location_id: str = ""
    generation: int
    conn_id: str
    status: SessionStatus = SessionStatus.ACTIVE
    ended_by: EndedBy | None = None
    ended_ms: int = 0
    access: Access = Access.GRANTED
    access_reason: str = ""
    epoch: int
    counts: dict[int, Count]
    quarantine: dict[str, Quarantined] = {}
    quarantine_bytes: int = 0
    decided: dict[str, bool] = {}
    work: Work = Work()
    offers: dict[str, Offer] = {}
    taken: dict[str, str] = {}
    created_ms: int
    active_ms: int
    changed_ms: int


def waiting_here(state: SessionState) -> dict[str, Quarantined]:
    """What waits in quarantine, of the clinics that the session is of now: another's is not theirs to know of."""
    here = set(state.organizations)
    return {id_: item for id_, item in state.quarantine.items() if not here.isdisjoint(item.organizations)}


def unpacked(packed: bytes) -> dict[str, Any]:
    """A kept result, or a quarantined command, as a map again."""
    content: dict[str, Any] = msgspec.msgpack.decode(packed)
    return content

"""A room's events and the state they add up to."""

from typing import Final

import msgspec

from actors.room_status import LONG_WAIT_MS, OCCUPIED, RoomStatus
from domain.times import MINUTE_MS

NAME_LENGTH_MAX: Final = 100
KIND_LENGTH_MAX: Final = 50
REASON_LENGTH_MAX: Final = 500
HOLD_MINUTES_DEFAULT: Final = 15
HOLD_MINUTES_MAX: Final = 240
CLAIM_LEASE_MS: Final = 60 * MINUTE_MS
"""A claim ends this long after its last renewal or the last status change made under it."""
HOLD_EXPIRED_REASON: Final = "hold_expired"


class Created(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="created"):
    room_id: str
    organization_id: str
    location_id: str
    name: str
    kind: str = ""


class Described(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="described"):
    name: str
    kind: str = ""


class StatusChanged(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="status_changed"):
    """`visit_id`: of the patient who is roomed, or whom a hold is for. `lease_ms`: it renewed the claim."""

    to: RoomStatus
    from_: RoomStatus = msgspec.field(name="from")
    reason: str = ""
    waiting_for: str = ""
    patient_id: str = ""
    visit_id: str = ""
    hold_ms: int = 0
    lease_ms: int = 0


class StatusUndone(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="status_undone"):
    """The change that made `version` is taken back: the room is again as before it."""

    version: int
    to: RoomStatus
    from_: RoomStatus = msgspec.field(name="from")
    lease_ms: int = 0


class Claimed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="claimed"):
    """By the sender, from their device. A renewal keeps the token; otherwise it is one higher than any before."""

    token: int
    lease_ms: int
    instead_of: str = ""
    reason: str = ""


class ClaimEnded(msgspec.Struct, frozen=True, omit_defaults=True, tag="claim_ended"):
    """Given back or, when `expired`, not renewed in time."""

    token: int
    expired: bool = False


class AlertRaised(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="alert_raised"):
    """The room has been in `status` since `since_ms`, longer than `threshold_ms`."""

    status: RoomStatus
    since_ms: int
    threshold_ms: int
    waiting_for: str = ""


Event = Created | Described | StatusChanged | StatusUndone | Claimed | ClaimEnded | AlertRaised


class Phase(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The one source for the room's status and its visit: since when, by whom and on which device it is so.

    `patient_id` and `visit_id` are there exactly in `OCCUPIED`; `held_for` is the visit that a hold is for.
    """

    status: RoomStatus
    since_ms: int
    by: str
    device: str = ""
    reason: str = ""
    waiting_for: str = ""
    patient_id: str = ""
    visit_id: str = ""
    held_for: str = ""
    hold_ms: int = 0
    hold_until_ms: int = 0

    @property
    def occupied(self) -> bool:
        return self.status in OCCUPIED

    @property
    def long_wait_ms(self) -> int:
        """How long it may last without an alert; 0 for ever."""
        return LONG_WAIT_MS.get((self.status, self.waiting_for), 0)


class Holder(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who has claimed the room, until when if nothing renews it."""

    by: str
    token: int
    since_ms: int
    until_ms: int
    device: str = ""


class RoomState(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`phase_version` is the version that `phase` came with; `previous` the phase an undo leads back to.

    `last_token` only ever rises. `alert` goes with the phase it was raised in.
    """

    room_id: str
    organization_id: str
    location_id: str
    name: str
    kind: str = ""
    phase: Phase
    phase_version: int
    previous: Phase | None = None
    holder: Holder | None = None
    last_token: int = 0
    alert: AlertRaised | None = None
    alert_at_ms: int = 0

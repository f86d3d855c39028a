"""What can be asked of a provider session. The tag is the operation's name in the API, the protocol and the journal.

A session is one person at one device; its id is `session_id_of(subject, device_id)`. `generation` names a connection:
it rises with every `open`, and only the newest may record.
"""

from typing import Any, Literal

import msgspec

from domain.ids import derived_id


def session_id_of(subject: str, device_id: str) -> str:
    """The session of this person at this device."""
    return derived_id("session", subject, device_id)


class Open(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="open"):
    """The device says hello, by the session's own person. Replies `{generation, epoch, last_seq, refusal}`.

    `last_seq` is the watermark of the epoch asked for, `epoch` the session's own, `refusal` a code under which
    every command is to be quarantined ("" for none). `first_unacked` acknowledges what is before it.
    A session that has ended begins again only with a login since then (`login_ms`, -1: right now).
    Raises `Conflict` `logged_off` (`fenced` after a hand-off) without one, `insufficient_state` for results that
    were never given, `Forbidden` `device_revoked`.
    """

    device_id: str
    epoch: int
    first_unacked: int
    conn_id: str
    organizations: tuple[str, ...]
    location_id: str = ""
    login_ms: int = -1


class Recall(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="recall"):
    """The results kept of one epoch, after `after`. Replies `{results: [[seq, hash, packed result] …], more}`."""

    epoch: int
    after: int = 0


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of one command: its `result` frame as a map. With `command` (the whole of it) it is quarantined
    under `item_id`. `hash` is the command's body hash."""

    epoch: int
    seq: int
    hash: bytes
    result: dict[str, Any]
    command: dict[str, Any] | None = None
    item_id: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag="record"):
    """Keep outcomes: all of them or, when one does not fit, none. Those of the session's epoch continue its
    watermark without a gap; what was recorded before is passed over.

    Raises `Conflict` `replaced`, `fenced`, `logged_off` or `revoked` when the connection has to end; `TooMany`
    `unacked` and `Unavailable` `quarantine_full` when the device has to wait.
    """

    generation: int
    entries: tuple[Outcome, ...]


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """The device has stored the results up to `upto`."""

    epoch: int
    upto: int


class Touch(msgspec.Struct, frozen=True, kw_only=True, tag="touch"):
    """There is somebody at the device. Raises as `Record` when the connection has to end."""

    generation: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    """The connection has ended. A no-op when a newer one has come."""

    generation: int


class Enter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="enter"):
    """The provider is in this room now, with this patient. Being there already is a no-op."""

    room_id: str
    patient_id: str = ""
    visit_id: str = ""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """The provider is in no room."""


class OpenDocument(msgspec.Struct, frozen=True, kw_only=True, tag="open_document"):
    document_id: str


class CloseDocument(msgspec.Struct, frozen=True, kw_only=True, tag="close_document"):
    document_id: str


class SignOut(msgspec.Struct, frozen=True, tag="sign_out"):
    """The person ends the session, or an admin ends it for them."""


class OfferHandOff(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="offer_hand_off"):
    """Offer room, patient and open documents to `to` (a user id; one's own for another device)."""

    offer_id: str
    to: str
    note: str = ""


class WithdrawHandOff(msgspec.Struct, frozen=True, kw_only=True, tag="withdraw_hand_off"):
    offer_id: str


class HandOver(msgspec.Struct, frozen=True, kw_only=True, tag="hand_over"):
    """Sent by the receiving provider: take what was offered. The first commit wins; the next gets `taken` with `by`.

    Replies `{from, room_id, patient_id, visit_id, documents, note}`. The session is in no room any more; when the
    receiver is its own person at another device, it ends (`handed_off`).
    """

    offer_id: str
    to_session: str


class TakeUp(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="take_up"):
    """Go on with what another session handed over; on the receiver's session, by its own person."""

    offer_id: str
    from_session: str
    room_id: str = ""
    patient_id: str = ""
    visit_id: str = ""
    documents: tuple[str, ...] = ()


class Revoke(msgspec.Struct, frozen=True, kw_only=True, tag="revoke"):
    """By an admin of the organization: the person's commands are quarantined from now on, or the device is shut out."""

    what: Literal["person", "device"]
    reason: str


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """By an admin of the organization: take a revocation back."""


class Resolve(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="resolve"):
    """A quarantined command is dealt with: it was sent again (`outcome` says what came of it), or is given up."""

    item_id: str
    action: Literal["retry", "discard"]
    reason: str
    outcome: str = ""


class ShowQuarantined(msgspec.Struct, frozen=True, kw_only=True, tag="show_quarantined"):
    """Replies with the whole command of one item, for those who may resolve it."""

    item_id: str


Command = (
    Open
    | Recall
    | Record
    | Ack
    | Touch
    | Close
    | Enter
    | Leave
    | OpenDocument
    | CloseDocument
    | SignOut
    | OfferHandOff
    | WithdrawHandOff
    | HandOver
    | TakeUp
    | Revoke
    | Restore
    | Resolve
    | ShowQuarantined
)

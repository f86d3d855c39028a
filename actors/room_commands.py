"""What can be asked of a room. The tag is the operation's name in the API, the protocol and the journal.

`token` is the fencing token of the claim that a command acts under, 0 without one. Any other than the current
claim's is refused with `fenced`.
"""

import msgspec


class Create(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="create"):
    """Make the room, by the service that manages rooms (`SYSTEM`). The same place again is a no-op."""

    organization_id: str
    location_id: str
    name: str
    kind: str = ""


class Describe(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="describe"):
    """Another name or kind, by the service that manages rooms (`SYSTEM`)."""

    name: str
    kind: str = ""


class SetStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="set_status"):
    """Move the room (`room_status.TRANSITIONS`). Being there already is a no-op.

    `from` that is not the current status: `conflict` with `{"current": ...}`. `roomed` needs `patient_id` and
    `visit_id`; `waiting` needs `waiting_for`; `held` may have `visit_id` and `hold_minutes`.
    """

    to: str
    from_: str = msgspec.field(default="", name="from")
    reason: str = ""
    waiting_for: str = ""
    patient_id: str = ""
    visit_id: str = ""
    hold_minutes: int = 0
    token: int = 0


class Undo(msgspec.Struct, frozen=True, omit_defaults=True, tag="undo"):
    """Take back the status change that made this `version`, if it is the last one and not an undo itself."""

    version: int
    token: int = 0


class Claim(msgspec.Struct, frozen=True, omit_defaults=True, tag="claim"):
    """Take the room for oneself: replies with the fencing `token`. Again from the same device: the lease is renewed.

    The first commit wins; the next gets `taken` with `{"by": ...}`.
    """


class Release(msgspec.Struct, frozen=True, omit_defaults=True, tag="release"):
    """Give one's claim back. A room without a claim: no-op."""

    token: int = 0


class TakeOver(msgspec.Struct, frozen=True, omit_defaults=True, tag="take_over"):
    """Take the claim, whoever has it; the token rises, so that who had it is fenced. Replies like `claim`."""

    reason: str = ""


Command = Create | Describe | SetStatus | Undo | Claim | Release | TakeOver

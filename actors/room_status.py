"""The room's status machine: one table of who may move a room from where to where, and one of who may claim it.

available → held → roomed → in_treatment ⇄ waiting (numbing | recovery) → turnover → cleaning → available
A hold ends without a patient (held → available); a patient leaves from wherever they are (→ turnover).
out_of_service is entered only by an empty room and left only through cleaning, so no room skips that.
closed is the end of a room: by the service that manages rooms, when nobody is in it or expected; never left.
"""

from enum import StrEnum
from typing import Final

import msgspec

from actors.parties import Party
from domain.times import MINUTE_MS


class RoomStatus(StrEnum):
    AVAILABLE = "available"
    HELD = "held"
    ROOMED = "roomed"
    IN_TREATMENT = "in_treatment"
    WAITING = "waiting"
    TURNOVER = "turnover"
    CLEANING = "cleaning"
    OUT_OF_SERVICE = "out_of_service"
    CLOSED = "closed"


class WaitingFor(StrEnum):
    """What a patient in `waiting` waits for."""

    NUMBING = "numbing"
    RECOVERY = "recovery"


class Transition(msgspec.Struct, frozen=True):
    """Who may make it and who of them must say why. `exclusive`: while the room is claimed, only under the claim."""

    parties: frozenset[Party]
    reason: frozenset[Party]
    exclusive: bool


_S = RoomStatus
_PROVIDER, _FRONT_DESK, _ADMIN, _SYSTEM = Party.PROVIDER, Party.FRONT_DESK, Party.ADMIN, Party.SYSTEM
_DESK = (_FRONT_DESK, _ADMIN)
_STAFF = (_PROVIDER, *_DESK)


def _by(*who: Party, reason: tuple[Party, ...] = (), exclusive: bool = False) -> Transition:
    return Transition(frozenset(who), frozenset(reason), exclusive)


TRANSITIONS: Final[dict[tuple[RoomStatus, RoomStatus], Transition]] = {
    (_S.AVAILABLE, _S.HELD): _by(*_STAFF),
    (_S.HELD, _S.AVAILABLE): _by(*_STAFF, _SYSTEM),
    (_S.HELD, _S.ROOMED): _by(*_STAFF),
    (_S.ROOMED, _S.IN_TREATMENT): _by(_PROVIDER, exclusive=True),
    (_S.ROOMED, _S.TURNOVER): _by(*_STAFF, exclusive=True),
    (_S.IN_TREATMENT, _S.WAITING): _by(_PROVIDER, exclusive=True),
    (_S.IN_TREATMENT, _S.TURNOVER): _by(_PROVIDER, exclusive=True),
    (_S.WAITING, _S.IN_TREATMENT): _by(_PROVIDER, exclusive=True),
    (_S.WAITING, _S.TURNOVER): _by(*_STAFF, exclusive=True),
    (_S.TURNOVER, _S.CLEANING): _by(*_STAFF),
    (_S.CLEANING, _S.AVAILABLE): _by(*_STAFF),
    (_S.AVAILABLE, _S.OUT_OF_SERVICE): _by(*_DESK, reason=_DESK, exclusive=True),
    (_S.TURNOVER, _S.OUT_OF_SERVICE): _by(*_DESK, reason=_DESK),
    (_S.CLEANING, _S.OUT_OF_SERVICE): _by(*_DESK, reason=_DESK),
    (_S.OUT_OF_SERVICE, _S.CLEANING): _by(*_DESK),
    (_S.AVAILABLE, _S.CLOSED): _by(_SYSTEM),
    (_S.TURNOVER, _S.CLOSED): _by(_SYSTEM),
    (_S.CLEANING, _S.CLOSED): _by(_SYSTEM),
    (_S.OUT_OF_SERVICE, _S.CLOSED): _by(_SYSTEM),
}

CLAIMS: Final[dict[str, frozenset[Party]]] = {
    "claim": frozenset((_PROVIDER,)),
    "release": frozenset((_PROVIDER, _ADMIN)),
    "take_over": frozenset((_PROVIDER, _ADMIN)),
}
"""Who may do what with the claim of a room."""

OCCUPIED: Final = frozenset((_S.ROOMED, _S.IN_TREATMENT, _S.WAITING))
"""The patient's session: exactly while it lasts, the room has a patient and a visit."""
CLAIMABLE: Final = OCCUPIED | {_S.AVAILABLE, _S.HELD}
"""A claim ends when the room leaves these."""

LONG_WAIT_MS: Final[dict[tuple[RoomStatus, str], int]] = {
    (_S.ROOMED, ""): 15 * MINUTE_MS,
    (_S.IN_TREATMENT, ""): 90 * MINUTE_MS,
    (_S.WAITING, WaitingFor.NUMBING): 30 * MINUTE_MS,
    (_S.WAITING, WaitingFor.RECOVERY): 45 * MINUTE_MS,
    (_S.TURNOVER, ""): 10 * MINUTE_MS,
    (_S.CLEANING, ""): 20 * MINUTE_MS,
}
"""A room that stays longer raises an alert. Statuses that are not here may last."""

MOVERS: Final[dict[RoomStatus, frozenset[Party]]] = {
    to: frozenset().union(*(step.parties for (_, target), step in TRANSITIONS.items() if target is to))
    for to in RoomStatus
}
"""Who may ever move a room to a status, from wherever."""


SEES: Final = frozenset((*_STAFF, _SYSTEM))
"""Who sees rooms and sessions of their organization."""

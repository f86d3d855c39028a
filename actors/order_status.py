"""The order's status machine: one table of who may move an order from where to where.

pending_payment → placed → accepted → preparing → ready
    ready → picked_up → out_for_delivery → delivered → completed      (delivery)
    ready → collected → completed                                     (collection)
    placed → fulfilled                                                (tickets)
rejected, cancelled, expired where the table says so. No path leaves a terminal status or comes back to an
earlier one, so each status is stamped at most once.
"""

from enum import StrEnum
from typing import Final

import msgspec

from actors.parties import Party


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    PLACED = "placed"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    PICKED_UP = "picked_up"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    COLLECTED = "collected"
    FULFILLED = "fulfilled"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Fulfilment(StrEnum):
    DELIVERY = "delivery"
    COLLECTION = "collection"
    TICKETS = "tickets"


class Transition(msgspec.Struct, frozen=True):
    """Who may make it, for which kinds of order, and who of them must say why."""

    parties: frozenset[Party]
    fulfilments: frozenset[Fulfilment]
    reason: frozenset[Party]


_S = OrderStatus
_OWNER, _MERCHANT, _COURIER, _SYSTEM = Party.OWNER, Party.MERCHANT, Party.COURIER, Party.SYSTEM


_ALL = frozenset(Fulfilment)
_DELIVERY = frozenset((Fulfilment.DELIVERY,))
_COLLECTION = frozenset((Fulfilment.COLLECTION,))
_TICKETS = frozenset((Fulfilment.TICKETS,))
_GOODS = _DELIVERY | _COLLECTION


def _by(*who: Party, of: frozenset[Fulfilment], reason: tuple[Party, ...] = ()) -> Transition:
    return Transition(frozenset(who), of, frozenset(reason))


_WHY = (_MERCHANT, _SYSTEM)

TRANSITIONS: Final[dict[tuple[OrderStatus, OrderStatus], Transition]] = {
    (_S.PENDING_PAYMENT, _S.PLACED): _by(_SYSTEM, of=_ALL),
    (_S.PENDING_PAYMENT, _S.EXPIRED): _by(_SYSTEM, of=_ALL),
    (_S.PENDING_PAYMENT, _S.CANCELLED): _by(_OWNER, _SYSTEM, of=_ALL),
    (_S.PLACED, _S.ACCEPTED): _by(_MERCHANT, of=_GOODS),
    (_S.PLACED, _S.REJECTED): _by(_MERCHANT, _SYSTEM, of=_GOODS, reason=_WHY),
    (_S.PLACED, _S.CANCELLED): _by(_OWNER, _SYSTEM, of=_ALL),
    (_S.PLACED, _S.FULFILLED): _by(_SYSTEM, of=_TICKETS),
    (_S.ACCEPTED, _S.PREPARING): _by(_MERCHANT, of=_GOODS),
    (_S.ACCEPTED, _S.CANCELLED): _by(_MERCHANT, _SYSTEM, of=_GOODS, reason=_WHY),
    (_S.PREPARING, _S.READY): _by(_MERCHANT, of=_GOODS),
    (_S.PREPARING, _S.CANCELLED): _by(_MERCHANT, _SYSTEM, of=_GOODS, reason=_WHY),
    (_S.READY, _S.PICKED_UP): _by(_COURIER, of=_DELIVERY),
    (_S.READY, _S.COLLECTED): _by(_MERCHANT, of=_COLLECTION),
    (_S.READY, _S.CANCELLED): _by(_MERCHANT, _SYSTEM, of=_GOODS, reason=_WHY),
    (_S.PICKED_UP, _S.OUT_FOR_DELIVERY): _by(_COURIER, of=_DELIVERY),
    (_S.OUT_FOR_DELIVERY, _S.DELIVERED): _by(_COURIER, of=_DELIVERY),
    (_S.DELIVERED, _S.COMPLETED): _by(_OWNER, _MERCHANT, _SYSTEM, of=_DELIVERY),
    (_S.COLLECTED, _S.COMPLETED): _by(_OWNER, _MERCHANT, _SYSTEM, of=_COLLECTION),
}

TERMINAL: Final = frozenset((_S.FULFILLED, _S.COMPLETED, _S.REJECTED, _S.CANCELLED, _S.EXPIRED))
"""Never left."""
ASSIGNABLE: Final = frozenset((_S.ACCEPTED, _S.PREPARING, _S.READY))
"""When the merchant may name or change the courier."""
ON_THE_WAY: Final = frozenset((_S.PICKED_UP, _S.OUT_FOR_DELIVERY))
"""When the courier's position is the order's."""

MOVERS: Final[dict[OrderStatus, frozenset[Party]]] = {
    to: frozenset().union(*(step.parties for (_, target), step in TRANSITIONS.items() if target is to))
    for to in OrderStatus
}
"""Who may ever move an order to a status, from wherever."""


SEES: Final = frozenset((_OWNER, _MERCHANT, _COURIER, Party.ADMIN, Party.PLATFORM, Party.LINK, _SYSTEM))
"""Who sees an order. A delivery that waits for any courier is seen by all of them."""
KNOWS: Final = SEES - {Party.LINK}
"""To whom a refusal says what it is; to others there is no such order."""

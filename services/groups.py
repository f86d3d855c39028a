"""Group channels: which entities belong to one now, and who may follow it."""

from collections.abc import Callable, Sequence
from typing import Final

from actors.order_status import TERMINAL, OrderStatus
from actors.runtime.entity import Actor
from domain.errors import NotFound
from services.entities import ORDER, ROOM
from services.listings import Listings, OrderFilter, permitted
from services.rooms import Rooms

MEMBERS_MAX: Final = 200
"""The newest open orders, the rooms of a location; others are delivered when they change."""

_OPEN: Final = tuple(status for status in OrderStatus if status not in TERMINAL)
_PARTIES: Final[dict[str, Callable[[str], OrderFilter]]] = {
    "merchant": lambda party_id: OrderFilter(merchant_id=party_id, statuses=_OPEN),
    "user": lambda party_id: OrderFilter(user_id=party_id, statuses=_OPEN),
    "courier": lambda party_id: OrderFilter(courier_id=party_id, statuses=_OPEN),
}


class Groups:
    """`merchant/{id}/orders`, `user/{id}/orders`, `courier/{id}/orders` and `location/{id}/rooms`."""

    def __init__(self, listings: Listings, rooms: Rooms) -> None:
        self._listings = listings
        self._rooms = rooms

    async def members(self, group: str, actor: Actor) -> Sequence[tuple[str, str]]:
        """(kind, id) of the open orders in `group`, newest first, or of its rooms.

        Raises `NotFound` if it is not the actor's.
        """
        party, _, rest = group.partition("/")
        party_id, _, name = rest.rpartition("/")
        if (party, name) == ("location", "rooms"):
            return [(ROOM, room.id) for room in await self._rooms.list(actor, party_id, "", MEMBERS_MAX)]
        whose = _PARTIES.get(party)
        if whose is None or name != "orders" or not party_id:
            raise NotFound("There is no such channel.")
        wanted = permitted(actor, whose(party_id))
        return [(ORDER, row.id) for row in await self._listings.orders(wanted, None, MEMBERS_MAX)]

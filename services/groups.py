"""Group channels: which entities belong to one now, and who may follow it."""

from collections.abc import Callable, Sequence
from typing import Final

from actors.order_status import TERMINAL, OrderStatus
from actors.runtime.entity import Actor
from actors.session_state import SessionStatus
from domain.errors import NotFound
from services.access.orders import permitted
from services.documents import Documents
from services.entities import ORDER, ROOM, SESSION
from services.listings import Listings, OrderFilter
from services.rooms import Rooms
from services.session_listings import SessionFilter
from services.sessions import Sessions

MEMBERS_MAX: Final = 200
"""The newest of the group; others are delivered when they change."""

Members = Sequence[tuple[str, str]]

_OPEN: Final = tuple(status for status in OrderStatus if status not in TERMINAL)
_PARTIES: Final[dict[str, Callable[[str], OrderFilter]]] = {
    "merchant": lambda party_id: OrderFilter(merchant_id=party_id, statuses=_OPEN),
    "user": lambda party_id: OrderFilter(user_id=party_id, statuses=_OPEN),
    "courier": lambda party_id: OrderFilter(courier_id=party_id, statuses=_OPEN),
}
_SIGNED_IN: Final = tuple(status.value for status in SessionStatus if status is not SessionStatus.ENDED)


class Groups:
    """`orders` of a merchant, user or courier; `rooms`, `sessions`, `documents` and `cosign` of a location; `rooms`
    that a user holds, `documents` that they take part in."""

    def __init__(self, listings: Listings, rooms: Rooms, documents: Documents, sessions: Sessions) -> None:
        self._listings = listings
        self._rooms = rooms
        self._documents = documents
        self._sessions = sessions

    async def members(self, group: str, actor: Actor, *, again: bool = False) -> Members:
        """(kind, id) of the group's members now, the newest first (rooms by id). `again`: the list is shown to nobody.

        Raises `NotFound` if it is not the actor's.
        """
        party, _, rest = group.partition("/")
        party_id, _, name = rest.rpartition("/")
        match party, name:
            case (_, "orders"):
                return await self._orders(party, party_id, actor)
            case ("location", "rooms"):
                return [(ROOM, room.id) for room in await self._rooms.list(actor, party_id, "", MEMBERS_MAX)]
            case ("user", "rooms"):
                return [(ROOM, room_id) for room_id in await self._rooms.held(actor, party_id, MEMBERS_MAX)]
            case ("location", "sessions"):
                wanted = SessionFilter(location_id=party_id, statuses=_SIGNED_IN)
                return [(SESSION, row.id) for row in await self._sessions.list(actor, wanted, None, MEMBERS_MAX)]
            case ("location", "documents" | "cosign") | ("user", "documents"):
                return await self._documents.members(actor, party, party_id, name, MEMBERS_MAX, again=again)
            case _:
                raise _unknown()

    async def _orders(self, party: str, party_id: str, actor: Actor) -> Members:
        whose = _PARTIES.get(party)
        if whose is None or not party_id:
            raise _unknown()
        wanted = permitted(actor, whose(party_id))
        return [(ORDER, row.id) for row in await self._listings.orders(wanted, None, MEMBERS_MAX)]


def _unknown() -> NotFound:
    return NotFound("There is no such channel.")

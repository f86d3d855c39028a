"""Group channels: which entities belong to one now, and who may follow it."""

from collections.abc import Callable, Sequence
from typing import Final

from actors.order_status import TERMINAL, OrderStatus
from actors.runtime.entity import Actor
from domain.errors import NotFound
from services.entities import ORDER
from services.listings import Listings, OrderFilter, permitted

MEMBERS_MAX: Final = 200
"""The newest open orders; older ones are delivered when they change."""

_OPEN: Final = tuple(status for status in OrderStatus if status not in TERMINAL)
_PARTIES: Final[dict[str, Callable[[str], OrderFilter]]] = {
    "merchant": lambda party_id: OrderFilter(merchant_id=party_id, statuses=_OPEN),
    "user": lambda party_id: OrderFilter(user_id=party_id, statuses=_OPEN),
    "courier": lambda party_id: OrderFilter(courier_id=party_id, statuses=_OPEN),
}


class Groups:
    """`merchant/{id}/orders`, `user/{id}/orders` and `courier/{id}/orders`."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings

    async def members(self, group: str, actor: Actor) -> Sequence[tuple[str, str]]:
        """(kind, id) of the open orders in `group`, newest first. `NotFound` if it is not the actor's."""
        party, _, rest = group.partition("/")
        party_id, _, name = rest.rpartition("/")
        whose = _PARTIES.get(party)
        if whose is None or name != "orders" or not party_id:
            raise NotFound("There is no such channel.")
        wanted = permitted(actor, whose(party_id))
        return [(ORDER, row.id) for row in await self._listings.orders(wanted, None, MEMBERS_MAX)]

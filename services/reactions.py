"""What follows from journaled events. Handlers run at least once per journal row, so each is idempotent.

The tail runner calls `handle(entry)` for every journal row; an exception means "try again
later", and after enough tries the row is parked among the dead letters.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from actors.cart_state import CheckoutBegan
from domain.errors import Conflict, Rejected
from services.entities import CART, ORDER
from services.placement import Placements

ORDER_TOPIC: Final = "order.events"
CART_TOPIC: Final = "cart.events"


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One journal row with its events decoded. `time_ms` is when it was accepted; `actor` is a subject."""

    kind: str
    id: str
    version: int
    time_ms: int
    actor: str
    command_id: bytes
    correlation: str
    events: tuple[Any, ...]


class Topics(Protocol):
    async def publish(self, topic: str, key: str, message: dict[str, Any]) -> None:
        """Append to a topic. `key` is the same for every attempt at one message, for consumers to deduplicate."""


Handler = Callable[[JournalEntry], Awaitable[None]]


class CheckoutReaction:
    """Finishes a checkout that its edge left unfinished (it crashed, or lost its connection)."""

    def __init__(self, placements: Placements) -> None:
        self._placements = placements

    async def handle(self, entry: JournalEntry) -> None:
        for event in entry.events:
            if isinstance(event, CheckoutBegan):
                await self._finish(entry, event)

    async def _finish(self, entry: JournalEntry, event: CheckoutBegan) -> None:
        if not await self._placements.is_under_way(entry.id, event.order_id):
            return
        try:
            await self._placements.continue_checkout(entry.id, event.order_id, entry.correlation, entry.version)
        except Conflict as error:
            if error.failure.code != "not_checking_out":
                raise
        except Rejected:
            return  # the order refused the terms, and the cart is open again: this is an end


class TopicReaction:
    """Publishes what happened to carts and orders, for consumers outside this house's own process.

    A message says what happened to which entity, not the content: that is read with the reader's own rights.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def handle(self, entry: JournalEntry) -> None:
        topic = _TOPICS.get(entry.kind)
        if topic is None:
            return
        for number, event in enumerate(entry.events):
            message = {
                "type": type(event).__struct_config__.tag,
                "kind": entry.kind,
                "id": entry.id,
                "version": entry.version,
                "time_ms": entry.time_ms,
                "actor": entry.actor,
                "correlation": entry.correlation,
                **_facts(event),
            }
            await self._topics.publish(topic, f"{entry.kind}/{entry.id}/{entry.version}/{number}", message)


def _facts(event: Any) -> dict[str, Any]:
    """Of the event's own fields, those that consumers route by."""
    found = {name: getattr(event, name, None) for name in _ROUTING_FIELDS}
    return {name.rstrip("_"): str(value) for name, value in found.items() if value}


_TOPICS: Final = {CART: CART_TOPIC, ORDER: ORDER_TOPIC}
_ROUTING_FIELDS: Final = ("order_id", "cart_id", "user_id", "merchant_id", "courier_id", "to", "from_", "currency")


def handlers(placements: Placements, topics: Topics) -> dict[str, Handler]:
    """The reactions by their names, under which each keeps its own place in the journal."""
    return {
        "checkout": CheckoutReaction(placements).handle,
        "topics": TopicReaction(topics).handle,
    }

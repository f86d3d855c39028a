"""What follows from journaled events. Handlers run at least once per journal row, so each is idempotent.

An exception means "try again later"; after enough tries the row is parked among the dead letters.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from actors.cart_state import CheckoutBegan
from actors.runtime.tail import JournalEntry, Reaction
from actors.session_state import HandedOver
from domain.errors import Conflict, Rejected
from services.entities import CART, ORDER, SESSION
from services.hand_offs import HandOffs
from services.placement import Placements

ORDER_TOPIC: Final = "order.events"
CART_TOPIC: Final = "cart.events"
CHECKOUTS_AT_ONCE_MAX: Final = 32

_encode = msgspec.json.Encoder().encode


class Topics(Protocol):
    """The bus's streams."""

    async def append(self, stream: str, entries: Sequence[Mapping[str, bytes | str]], length_max: int) -> list[str]: ...


class CheckoutReaction:
    """Finishes checkouts that their edge left unfinished (it crashed, or lost its connection)."""

    def __init__(self, placements: Placements) -> None:
        self._placements = placements
        self._slots = asyncio.Semaphore(CHECKOUTS_AT_ONCE_MAX)

    async def handle(self, entries: Sequence[JournalEntry]) -> None:
        begun = [
            self._finish(entry, event)
            for entry in entries
            for event in entry.events
            if isinstance(event, CheckoutBegan)
        ]
        for outcome in await asyncio.gather(*begun, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _finish(self, entry: JournalEntry, event: CheckoutBegan) -> None:
        async with self._slots:
            if not await self._placements.is_under_way(entry.id, event.order_id):
                return
            try:
                await self._placements.continue_checkout(entry.id, event.order_id, entry.correlation, entry.version)
            except Conflict as error:
                if error.failure.code != "not_checking_out":
                    raise
            except Rejected:
                return  # the order refused the terms, and the cart is open again: this is an end


class HandOffReaction:
    """Finishes hand-offs that their edge left unfinished: what is decided at the giving session happens."""

    def __init__(self, hand_offs: HandOffs) -> None:
        self._hand_offs = hand_offs

    async def handle(self, entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            for event in entry.events:
                if isinstance(event, HandedOver):
                    await self._hand_offs.finish(entry.id, event, entry.correlation)


class TopicReaction:
    """Publishes what happened to carts and orders, for consumers outside.

    An entry says what happened to which entity, not the content: that is read with the reader's own rights.
    Its `key` is the same each time, so that consumers can tell a repeat.
    """

    def __init__(self, topics: Topics, length_max: int) -> None:
        self._topics = topics
        self._length_max = length_max

    async def handle(self, entries: Sequence[JournalEntry]) -> None:
        by_topic: dict[str, list[Mapping[str, bytes | str]]] = {}
        for entry in entries:
            published = by_topic.setdefault(_TOPICS[entry.kind], [])
            published.extend(_fields(entry, number, event) for number, event in enumerate(entry.events))
        for topic, published in by_topic.items():
            await self._topics.append(topic, published, self._length_max)


def reactions(placements: Placements, hand_offs: HandOffs, topics: Topics, length_max: int) -> tuple[Reaction, ...]:
    """All reactions, by names under which each keeps its own place in the journal."""
    return (
        Reaction("checkout", frozenset({CART}), CheckoutReaction(placements).handle, frozenset({_tag(CheckoutBegan)})),
        Reaction("hand_off", frozenset({SESSION}), HandOffReaction(hand_offs).handle, frozenset({_tag(HandedOver)})),
        Reaction("topics", frozenset(_TOPICS), TopicReaction(topics, length_max).handle),
    )


def _tag(event: type) -> str:
    tag: str = event.__struct_config__.tag  # type: ignore[attr-defined]
    return tag


def _fields(entry: JournalEntry, number: int, event: Any) -> dict[str, bytes | str]:
    kind = _tag(type(event))
    document = {
        "type": kind,
        "kind": entry.kind,
        "id": entry.id,
        "version": entry.version,
        "time_ms": entry.time_ms,
        "actor": entry.actor,
        "correlation": entry.correlation,
    }
    facts = {name: getattr(event, name, None) for name in _ROUTING_FIELDS}
    document |= {name.rstrip("_"): str(value) for name, value in facts.items() if value}
    return {
        "key": f"{entry.kind}/{entry.id}/{entry.version}/{number}",
        "type": kind,
        "data": _encode(document),
    }


_TOPICS: Final = {CART: CART_TOPIC, ORDER: ORDER_TOPIC}
_ROUTING_FIELDS: Final = ("order_id", "cart_id", "user_id", "merchant_id", "courier_id", "to", "from_", "currency")
"""Of an event's own fields, those that consumers route by."""

"""Live entities of a person: what they show in an export, and how they forget."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors import cart_erasure, order_erasure
from actors.cart_commands import Erase as EraseCart
from actors.order_commands import Erase as EraseOrder
from actors.order_commands import Whose
from actors.order_history import history_entry
from actors.order_state import PositionSampled
from actors.order_views import position_view
from actors.runtime.codec import KindCodec
from actors.runtime.entity import SYSTEM, EntityKind
from actors.runtime.wire import VIEW_JSON, VIEW_NONE
from domain.errors import Conflict, NotFound
from services.entities import CART, ORDER, Entities
from services.history import History
from storage.crypto import KeyRing
from storage.privacy.rewriting import JournalRewriting

Redact = Callable[[Any], Any]

_decode: Final = msgspec.json.decode


class PersonalEntities:
    def __init__(
        self,
        entities: Entities,
        history: History,
        rewriting: JournalRewriting,
        kinds: Mapping[str, EntityKind[Any]],
        keys: KeyRing,
    ) -> None:
        self._entities = entities
        self._history = history
        self._rewriting = rewriting
        self._codecs = {name: KindCodec(kinds[name], keys) for name in (CART, ORDER)}

    async def shown(self, kind: str, id: str) -> dict[str, Any] | None:
        """The entity as it is, None if nobody sees it any more; an order with its history."""
        try:
            answered = await self._entities.read(kind, id, actor=SYSTEM, want=VIEW_JSON)
        except NotFound:
            return None
        view: dict[str, Any] = _decode(answered.view)
        if kind == ORDER:
            rows = await self._history.of(ORDER, id, upto=answered.version)
            # Where the courier was is the courier's.
            view.pop("position", None)
            view["history"] = [
                msgspec.to_builtins(history_entry(event, row.meta))
                for row in rows
                for event in row.events
                if not isinstance(event, PositionSampled)
            ]
        return view

    async def positions(self, order_id: str) -> list[Any]:
        """Where an order's courier was."""
        rows = await self._history.of(ORDER, order_id)
        return [
            msgspec.to_builtins(position_view(event))
            for row in rows
            for event in row.events
            if isinstance(event, PositionSampled)
        ]

    async def forget_cart(self, cart_id: str) -> bool:
        """False: it is being ordered."""
        return await self._forget(CART, cart_id, EraseCart(), cart_erasure.redacted)

    async def forget_order(self, order_id: str, whose: Whose) -> bool:
        """False: the order is not closed yet."""
        return await self._forget(
            ORDER, order_id, EraseOrder(whose), lambda event: order_erasure.redacted(event, whose)
        )

    async def _forget(self, kind: str, id: str, command: Any, redact: Redact) -> bool:
        """First the entity, so that nothing new says it again; then its journal; then what was cached of before."""
        try:
            await self._entities.ask(kind, id, command, actor=SYSTEM, want=VIEW_NONE)
        except Conflict:
            return False
        except NotFound:
            pass  # a deleted one: what its journal says is rewritten all the same
        await self._rewrite(kind, id, redact)
        await self._rewriting.drop_snapshot(kind, id)
        return True

    async def _rewrite(self, kind: str, id: str, redact: Redact) -> None:
        codec, after = self._codecs[kind], 0
        while page := await self._rewriting.payloads(kind, id, after):
            await codec.learn_keys(row.payload for row in page)
            for row in page:
                events = codec.events(id, row.version, row.payload)
                fresh = tuple(map(redact, events))
                if fresh != events:
                    reply = codec.reply(id, row.version, row.payload)
                    payload = codec.pack_events(id, row.version, fresh, reply)
                    if not await self._rewriting.replace(kind, id, row, payload):
                        break
                after = row.version

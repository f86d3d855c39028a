"""A journal is written anew without what was personal, also while its rows are being sealed by another key."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.cart_state import Cleared, LineAdded
from actors.kinds import KINDS
from actors.runtime.codec import KindCodec
from domain.ids import new_id
from services.privacy.entities import PersonalEntities
from storage.crypto import KeyRing
from storage.privacy.rewriting import Payload

NOTE = "left at the blue door"


class AnsweringEntities:
    """`services.entities.Entities` whose carts have forgotten already."""

    async def ask(self, *_: Any, **__: Any) -> None: ...


class ResealedMeanwhile:
    """`storage.privacy.rewriting.JournalRewriting`: each row is sealed anew right before it is replaced first."""

    def __init__(self, codec: KindCodec[Any], cart_id: str, count: int) -> None:
        self._codec = codec
        self._cart_id = cart_id
        self.rows = [Payload(version, self._pack(version)) for version in range(1, count + 1)]
        self._resealed: set[int] = set()

    def _pack(self, version: int) -> bytes:
        line = LineAdded(line_id="1", product_id="p", name="Soup", unit_price_minor=1, quantity=1, instructions=NOTE)
        return self._codec.pack_events(self._cart_id, version, (line, Cleared()), None)

    async def payloads(self, kind: str, id: str, after: int) -> Sequence[Payload]:
        return [row for row in self.rows if row.version > after][:2]

    async def replace(self, kind: str, id: str, was: Payload, fresh: bytes) -> bool:
        at = was.version - 1
        if was.version not in self._resealed:
            self._resealed.add(was.version)
            self.rows[at] = msgspec.structs.replace(was, payload=self._pack(was.version))
        if self.rows[at] != was:
            return False
        self.rows[at] = msgspec.structs.replace(was, payload=fresh)
        return True

    async def drop_snapshot(self, kind: str, id: str) -> None: ...


async def test_a_row_that_a_rotation_of_keys_sealed_anew_is_redacted_all_the_same() -> None:
    keys, cart_id = KeyRing.ephemeral(), new_id()
    codec = KindCodec(KINDS["cart"], keys)
    journal = ResealedMeanwhile(codec, cart_id, 5)
    entities = PersonalEntities(AnsweringEntities(), None, journal, KINDS, keys)  # type: ignore[arg-type]
    assert await entities.forget_cart(cart_id)
    for row in journal.rows:
        line, cleared = codec.events(cart_id, row.version, row.payload)
        assert (line.instructions, cleared) == ("", Cleared())

"""A merchant's terms of sale, as carts and orders need them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.lookups import Clock, Lookups


class Merchant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A merchant's terms of sale. Amounts in minor units of `currency`."""

    id: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"
    delivery_fee_minor: int = 0
    minimum_order_minor: int = 0
    accept_within_ms: int = 10 * 60_000
    active: bool = True


class MerchantSource(Protocol):
    async def merchant(self, merchant_id: str) -> Merchant | None: ...


class MerchantCache:
    """Merchants by what was looked up lately."""

    def __init__(self, source: MerchantSource, clock: Clock) -> None:
        self._source = source
        self._lookups: Lookups[Merchant] = Lookups(self._fetch, clock)

    async def merchant(self, merchant_id: str) -> Merchant | None:
        return await self._lookups.get(merchant_id)

    def forget(self, merchant_id: str) -> None:
        self._lookups.forget(merchant_id)

    async def _fetch(self, ids: Sequence[str]) -> dict[str, Merchant]:
        found = {id_: await self._source.merchant(id_) for id_ in ids}
        return {id_: merchant for id_, merchant in found.items() if merchant is not None}

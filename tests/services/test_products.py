import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.lines import Option
from services.lookups import TTL_MS
from services.products import OptionGroup, Product, ProductCache, choose
from tests.serve.house import BREAD, PIZZA, ManualClock, MemoryCatalog


async def test_concurrent_misses_share_one_query_and_hits_need_none() -> None:
    class Slow(MemoryCatalog):
        async def products(self, ids: Sequence[str]) -> dict[str, Product]:
            await asyncio.sleep(0)
            return await super().products(ids)

    catalog = Slow()
    cache = ProductCache(catalog, ManualClock())
    found = await asyncio.gather(*(cache.get(BREAD) for _ in range(20)))
    assert {product.id for product in found if product} == {BREAD}
    await cache.get(BREAD)
    assert catalog.queries == 1


async def test_a_new_price_shows_after_the_time_of_the_cache() -> None:
    catalog, clock = MemoryCatalog(), ManualClock()
    cache = ProductCache(catalog, clock)
    await cache.get(BREAD)
    catalog.products_by_id[BREAD] = Product(id=BREAD, merchant_id="m", name="Bread", price_minor=1, currency="EUR")
    clock.ms += TTL_MS - 1
    assert (await cache.get(BREAD)).price_minor == 350  # type: ignore[union-attr]
    clock.ms += 1
    assert (await cache.get(BREAD)).price_minor == 1  # type: ignore[union-attr]


async def test_a_failed_query_is_not_remembered() -> None:
    class Away(MemoryCatalog):
        away = True

        async def products(self, ids: Sequence[str]) -> dict[str, Product]:
            if self.away:
                raise OSError
            return await super().products(ids)

    catalog = Away()
    cache = ProductCache(catalog, ManualClock())
    with pytest.raises(OSError):  # noqa: PT011 - the very one
        await cache.get(BREAD)
    catalog.away = False
    assert await cache.get(BREAD) is not None
    assert set(await cache.get_all([BREAD, PIZZA, "unknown"])) == {BREAD, PIZZA}


@given(st.data())
def test_a_choice_is_accepted_exactly_when_every_group_is_within_its_bounds(data: st.DataObject) -> None:
    groups = []
    for number in range(data.draw(st.integers(0, 3))):
        count = data.draw(st.integers(1, 4))
        low = data.draw(st.integers(0, count))
        high = data.draw(st.integers(low, count))
        options = tuple(Option(f"{number}-{each}", "x", each) for each in range(count))
        groups.append(OptionGroup(id=str(number), name="g", min=low, max=high, options=options))
    product = Product(id="p", merchant_id="m", name="P", price_minor=1, currency="EUR", options=tuple(groups))
    known = [option.id for group in groups for option in group.options]
    chosen = data.draw(st.lists(st.sampled_from([*known, "unknown"]), max_size=6))
    counts = [sum(option.id in chosen for option in group.options) for group in groups]
    fits = all(group.min <= count <= group.max for group, count in zip(groups, counts, strict=True))
    if fits and len(set(chosen)) == len(chosen) and "unknown" not in chosen:
        assert sorted(option.id for option in choose(product, chosen)) == sorted(chosen)
    else:
        with pytest.raises(Invalid):
            choose(product, chosen)

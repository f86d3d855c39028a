"""Lookups that many requests share: nobody's odd id fails the query of the others."""

import asyncio
from collections.abc import Sequence

from services.lookups import Lookups
from tests.serve.house import ManualClock


async def test_an_id_that_no_table_can_hold_is_unknown_and_fails_nobody_elses_lookup() -> None:
    asked: list[str] = []

    async def fetch(ids: Sequence[str]) -> dict[str, str]:
        asked.extend(ids)
        assert not any("\x00" in id_ for id_ in ids), "the database refuses the whole query"
        return {id_: id_.upper() for id_ in ids}

    lookups = Lookups(fetch, ManualClock())
    assert await asyncio.gather(lookups.get("a"), lookups.get("\x00"), lookups.get("b")) == ["A", None, "B"]
    assert asked == ["a", "b"]

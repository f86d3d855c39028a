"""Afterwards: read the journal and the views, and wait for the witnesses to show the same."""

import asyncio
import time
from typing import Any, Final

import asyncpg
import httpx
import msgspec

from loadtests.customer import PREFIX
from loadtests.drill.crowd import Crowd
from loadtests.drill.ledger import Found, Verdict, judge

CONVERGE_SECONDS_MAX: Final = 25.0
"""A witness that missed everything is told at the renewal of its watch, after a third of a lease."""
_LOOK_SECONDS: Final = 0.05
_AT_ONCE: Final = 16
_ROWS: Final = "SELECT id, version, command_id FROM journal WHERE kind = 'cart' AND id = ANY($1) ORDER BY id, version"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`backwards` and `skipped` as witnesses saw it; `diverged` are channels that do not show the final state."""

    verdict: Verdict
    delivered: int
    backwards: int
    skipped: int
    diverged: int

    @property
    def violations(self) -> int:
        return self.verdict.violations + self.backwards + self.skipped + self.diverged


async def check(crowd: Crowd, base_url: str, token: str, database_url: str) -> Outcome:
    """Judge what a crowd at rest has done. Raises `httpx.HTTPError`, `asyncpg.PostgresError` when it cannot be read."""
    carts = list(crowd.ledger.sent)
    views = await _views(base_url, token, carts)
    rows = await rows_of(database_url, carts)
    found = {cart: _found(rows.get(cart, []), views[f"cart/{cart}"]) for cart in carts}
    diverged = await _diverged(crowd, views)
    seen = [witness.seen for witness in crowd.witnesses]
    return Outcome(
        verdict=judge(crowd.ledger, found),
        delivered=sum(each.delivered for each in seen),
        backwards=sum(each.backwards for each in seen),
        skipped=sum(each.skipped for each in seen),
        diverged=diverged,
    )


def _found(rows: list[tuple[int, bytes]], view: dict[str, Any]) -> Found:
    return Found(rows, view["version"], sum(line["quantity"] for line in view["lines"].values()))


async def _views(base_url: str, token: str, carts: list[str]) -> dict[str, Any]:
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base_url + PREFIX, headers=headers, timeout=30.0) as client:

        async def one(cart: str) -> Any:
            async with gate:
                return (await client.get(f"/carts/{cart}")).raise_for_status().json()

        found = await asyncio.gather(*(one(cart) for cart in carts))
    return {f"cart/{cart}": view for cart, view in zip(carts, found, strict=True)}


async def rows_of(database_url: str, carts: list[str]) -> dict[str, list[tuple[int, bytes]]]:
    connection = await asyncpg.connect(database_url)
    try:
        found: dict[str, list[tuple[int, bytes]]] = {}
        for row in await connection.fetch(_ROWS, carts):
            found.setdefault(row["id"], []).append((row["version"], row["command_id"].bytes))
        return found
    finally:
        await connection.close()


async def _diverged(crowd: Crowd, views: dict[str, Any]) -> int:
    deadline = time.monotonic() + CONVERGE_SECONDS_MAX
    while True:
        left = [channel for witness in crowd.witnesses for channel in witness.shows(views)]
        if not left or time.monotonic() > deadline:
            return len(left)
        await asyncio.sleep(_LOOK_SECONDS)

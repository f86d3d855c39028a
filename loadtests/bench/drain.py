"""One of two hosts is removed as planned under load; clients repeat nothing, so every refusal counts.

`refused` are requests that got no 2xx; `longest_pause_ms` is the longest that any one client went without one.
"""

import time

from loadtests.bench.on_stack import atrium_up, shop_through
from loadtests.bench.report import Metrics, Progress
from loadtests.ground import make_catalog


async def run(progress: Progress) -> Metrics:
    catalog = make_catalog()
    removal_seconds = 0.0
    async with atrium_up(progress, catalog) as stack:

        async def remove() -> None:
            nonlocal removal_seconds
            started = time.perf_counter()
            await stack.remove_host("host-1")
            removal_seconds = time.perf_counter() - started

        with progress.step("Load, and host-1 removed in the middle of it"):
            result, found = await shop_through(stack, catalog, remove, retry=False)
        progress.note(result.summary())
    return {
        "refused": result.errors,
        "longest_pause_ms": result.longest_pause_ms,
        "acknowledged": found.acknowledged,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "requests_per_s": result.per_second,
        "removal_ms": round(removal_seconds * 1000),
    }

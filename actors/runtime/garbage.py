"""The cyclic garbage collector, told what a process full of live entities looks like.

Entities die by reference count; almost nothing here is cyclic. The default collector does not know that: it
walks every live entity again and again, which took half of a busy host's time and stopped it for 80 ms at 200
carts (growing with their number). So: young collections are rarer, and what survives one is frozen, never to
be walked again; freezing does not keep anything alive that is no longer referenced.
"""

import asyncio
import gc
from typing import Final

YOUNG_OBJECTS_MAX: Final = 50_000
"""Allocations (less frees) between two collections of the youngest generation."""

SETTLE_SECONDS: Final = 10
"""How often `settle` is worth its few milliseconds."""


def calm() -> None:
    """Once per process, after its modules are imported."""
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 100)
    settle()


def settle() -> None:
    """Collect what became garbage since the last time, then exempt what is left from further walks."""
    gc.collect()
    gc.freeze()


async def settle_forever() -> None:
    """Run `calm` and then `settle` for as long as the process lives."""
    calm()
    while True:
        await asyncio.sleep(SETTLE_SECONDS)
        settle()

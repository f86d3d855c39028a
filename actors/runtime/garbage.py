"""The cyclic garbage collector, told what a process full of live entities looks like.

Entities die by reference count; almost nothing here is cyclic. The default collector does not know that: it
walks every live entity again and again, which took half of a busy host's time and stopped it for 80 ms at 200
carts (growing with their number). So: young collections are rarer, and what survives one is frozen, never to
be walked again; freezing does not keep anything alive that is no longer referenced. Only what refers to itself it does
keep: a socket's protocol and parser in the server. Where there are such, the frozen are thawed once enough of them
have been let go.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

YOUNG_OBJECTS_MAX: Final = 50_000
"""Allocations (less frees) between two collections of the youngest generation."""

SETTLE_SECONDS: Final = 4
"""How often `settle` is worth its few milliseconds. It stops the process for as long as it walks what has come since
the last time, so not too seldom; what refers to itself and is in use at that moment is kept, so not too often."""

LET_GO_MAX: Final = 2_500
"""Self-referring things (some 20 KB each) that may be gone and frozen before everything is walked for their sake."""


def calm() -> None:
    """Once per process, after its modules are imported."""
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 100)
    settle()


def settle() -> None:
    """Collect what became garbage since the last time, then exempt what is left from further walks."""
    gc.collect()
    gc.freeze()


async def settle_forever(let_go: Callable[[], int] = lambda: 0) -> None:
    """Run `calm` and then `settle` for as long as the process lives.

    `let_go` counts the self-referring things that have come to their end since the process began.
    """
    calm()
    collected = 0
    while True:
        await asyncio.sleep(SETTLE_SECONDS)
        if let_go() - collected >= LET_GO_MAX:
            collected = let_go()
            gc.unfreeze()
        settle()

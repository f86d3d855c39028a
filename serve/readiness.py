"""What a gateway asks to know whether it can serve, and what suffers without each of it."""

from collections.abc import Mapping
from typing import Final, Protocol

from sqlalchemy import text

from actors.runtime.client import EntityClient
from actors.runtime.entity import SYSTEM
from domain.errors import NotFound
from domain.ids import new_id
from services.entities import CART
from services.health import Check, Health
from storage.db import Database

CHECK_MS: Final = 900

AFFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "database": ("everything",),
    "entities": ("carts", "orders", "rooms", "sessions", "documents"),
    "redis": ("live_changes", "presence", "topics", "shared_rate_limits", "revocations_at_once"),
    "outgoing": ("mail", "logins_elsewhere"),
    "reactions": ("interrupted_checkouts", "interrupted_hand_offs", "topics"),
}
"""By part: features that are gone, late or only this gateway's own while it is away. `docs/observability.md`."""

_NOT_RUNNING: Final = text(
    "SELECT count(*) FROM reaction_cursors WHERE held_until < now() - interval '10 seconds'"
)  # longer than it takes another reactor to take over


class ReactionsNotRunningError(Exception):
    """A reaction's lease has run out and nobody took it."""


class Pings(Protocol):
    async def ping(self) -> float: ...


def health_of(database: Database, client: EntityClient, bus: Pings, outgoing: Check) -> Health:
    async def database_answers() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))

    async def entities_answer() -> None:
        try:
            await client.read(CART, new_id(), actor=SYSTEM, deadline_ms=CHECK_MS)
        except NotFound:
            return  # a host looked it up

    async def redis_answers() -> None:
        await bus.ping()

    async def reactions_run() -> None:
        async with database.session() as session:
            if await session.scalar(_NOT_RUNNING):
                raise ReactionsNotRunningError

    return Health(
        {"database": database_answers, "entities": entities_answer},
        {"redis": redis_answers, "outgoing": outgoing, "reactions": reactions_run},
        AFFECTS,
    )

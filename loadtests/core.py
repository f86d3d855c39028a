"""The runtime's core without Ray on a real Postgres: what `memory` and `activation` measure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from actors.cart import CartKind
from actors.cart_commands import AddLine, Create
from actors.runtime.client import EntityClient
from actors.runtime.entity import Actor
from actors.runtime.local import LocalRuntime
from domain.ids import derived_id
from loadtests.ground import CURRENCY, Catalog
from storage.journal.postgres import PostgresJournal

HOST: Final = "load-1"
CUSTOMER: Final = Actor(derived_id("loadtests", "customer"), ("customer",))


def cart_id(number: int, series: str = "cart") -> str:
    return derived_id("loadtests", series, str(number))


def add_line(catalog: Catalog, item: int, quantity: int = 1) -> AddLine:
    """The command as a gateway sends it, with price and name from the catalog."""
    chosen = catalog.items[item % len(catalog.items)]
    return AddLine(
        product_id=chosen.id,
        name=chosen.name,
        unit_price_minor=chosen.price_minor,
        currency=CURRENCY,
        merchant_id=catalog.merchant_id,
        quantity=quantity,
    )


async def fill_cart(
    client: EntityClient, cart: str, catalog: Catalog, lines: int, *, actor: Actor = CUSTOMER, first_item: int = 0
) -> None:
    """A new cart of `actor` with so many lines, each a durable command."""
    await client.ask("cart", cart, Create(CURRENCY, catalog.merchant_id), actor=actor)
    for item in range(first_item, first_item + lines):
        await client.ask("cart", cart, add_line(catalog, item), actor=actor)


@asynccontextmanager
async def core_runtime(database_url: str) -> AsyncIterator[LocalRuntime]:
    """One host in this process that owns every shard, on a migrated database."""
    async with PostgresJournal(database_url) as journal:
        runtime = LocalRuntime(journal, journal, {"cart": CartKind()}, hosts=(HOST,))
        async with runtime:
            yield runtime

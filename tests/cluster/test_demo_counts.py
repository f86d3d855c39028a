"""The demo's count of what the journal holds, read from its sealed rows."""

from pathlib import Path

import pytest

from actors.kinds import KINDS
from actors.order_commands import Address, Place
from actors.runtime.entity import SYSTEM
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LocalRuntime
from cluster.demo.counts import count_by_journal
from domain.ids import new_id
from domain.lines import Line
from storage.journal.postgres import PostgresJournal

pytestmark = pytest.mark.stack


async def test_orders_of_these_customers_are_counted_from_the_journal(database_url: str, tmp_path: Path) -> None:
    keys = await RuntimeConfig(database_url, "", keys_dir=str(tmp_path)).open_keys()
    mine, others = new_id(), new_id()
    async with PostgresJournal(database_url) as journal, LocalRuntime(journal, journal, KINDS, keys=keys) as local:
        for user_id in (mine, others):
            line = Line(line_id="1", product_id="milk", name="whole milk", unit_price_minor=100, quantity=3)
            place = Place(
                cart_id=f"cart-{user_id}",
                user_id=user_id,
                merchant_id=new_id(),
                currency="EUR",
                lines=(line,),
                subtotal_minor=300,
                total_minor=300,
                address=Address(line1="1 High St", city="Dublin", country="IE"),
            )
            await local.client.ask("order", new_id(), place, actor=SYSTEM)
    (found,) = await count_by_journal(database_url, [mine], keys)
    assert (found.cart_id, found.items, found.total_minor) == (f"cart-{mine}", {"whole milk": 3}, 300)

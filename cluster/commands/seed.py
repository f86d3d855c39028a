"""`atrium seed`: the demo's merchants and products, for trying the API by hand."""

import asyncio

import typer

from cluster.commands.token import issuer
from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.demo.baskets import SAMPLE_ITEMS
from cluster.demo.world import World, make_world
from cluster.errors import ClusterError
from cluster.running import require_running
from realtime.client.http import HttpClient, HttpError
from storage.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("seed")(seed)


def seed(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Make the demo's merchants and products in the running installation. Safe to repeat."""
    settings = settings_with(data)
    run = require_running(settings)
    try:
        world = asyncio.run(_make(run.base_url, settings))
    except HttpError as error:
        raise ClusterError(f"the API refused: {error}") from error
    if as_json:
        print_json(
            [{"merchant_id": shop.merchant_id, "name": shop.name, "products": shop.products} for shop in world.shops]
        )
        return
    rows = table("merchant", "id", "#products")
    for shop in world.shops:
        rows.add_row(shop.name, shop.merchant_id, str(len(shop.products)))
    out.print(rows)


async def _make(base_url: str, settings: Settings) -> World:
    client = HttpClient(base_url, connections_max=16)
    try:
        return await make_world(client, issuer(settings), SAMPLE_ITEMS)
    finally:
        await client.close()

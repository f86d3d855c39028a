"""Durable commands over atrium.v1: 200 sockets, each a device with a cart and one command in flight, msgpack."""

from typing import Final

from domain.ids import new_id
from loadtests.apart import run_apart
from loadtests.bench.on_stack import atrium_up
from loadtests.bench.report import Metrics, Progress
from loadtests.customer import Customer
from loadtests.ground import make_catalog
from loadtests.scripts import adding_by_socket
from loadtests.ws_load import WsPlan

SOCKETS: Final = 200
SECONDS: Final = 15.0
WARMUP_SECONDS: Final = 3.0


async def run(progress: Progress) -> Metrics:
    catalog = make_catalog()
    async with atrium_up(progress, catalog) as stack:
        token = stack.token(new_id())
        async with Customer(stack.base_url, token) as customer:
            carts = await customer.open_carts(SOCKETS, catalog)
        plan = WsPlan(
            url=stack.socket_url("/live"),
            token=token,
            scripts=[adding_by_socket(cart, catalog) for cart in carts],
            sockets=SOCKETS,
            seconds=SECONDS,
            warmup_seconds=WARMUP_SECONDS,
        )
        with progress.step(f"{SOCKETS} sockets"):
            result = await run_apart(plan)
        progress.note(result.summary())
    return {
        "commands_per_s": result.per_second,
        "p99_ms": result.p99_ms,
        "p50_ms": result.p50_ms,
        "errors": result.errors,
    }

"""`python -m loadtests.baselines.crud_run`: the CRUD baseline's add-item over many carts and on one hot cart."""

import tempfile
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.runtime.clock import SystemClock
from domain.ids import new_id
from loadtests.apart import run_apart
from loadtests.baselines.crud_schema import remove
from loadtests.baselines.crud_server import POOL_SIZE, crud_server, seed
from loadtests.ground import Catalog, make_catalog, temporary_postgres
from loadtests.http_load import HttpPlan
from loadtests.measure import LoadResult
from loadtests.scripts import adding_to_each
from services.signing_keys import load_or_create_signing_key
from services.tokens import Tokens

CARTS: Final = 200
CONNECTIONS: Final = 200


class CrudFigures(msgspec.Struct, frozen=True):
    spread: LoadResult
    hot: LoadResult


async def measure_crud(
    database_url: str, catalog: Catalog, *, seconds: float = 10.0, pool_size: int = POOL_SIZE
) -> CrudFigures:
    """Start the baseline on this Postgres, measure both loads one after the other, leave nothing."""
    owner, carts, hot = new_id(), [new_id() for _ in range(CARTS)], new_id()
    products = [(item.id, item.price_minor) for item in catalog.items]
    await seed(database_url, owner=owner, merchant_id=catalog.merchant_id, carts=[*carts, hot], products=products)
    with tempfile.TemporaryDirectory() as folder:
        key = load_or_create_signing_key(Path(folder))
    token = Tokens(SystemClock(), signing=key).issue(owner, ("customer",))
    public = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    async with crud_server(database_url, public, pool_size=pool_size) as base_urls:

        async def load(cart_ids: list[str]) -> LoadResult:
            plan = HttpPlan(
                base_urls=base_urls,
                scripts=adding_to_each("", cart_ids, catalog),
                connections=CONNECTIONS,
                seconds=seconds,
                warmup_seconds=2.0,
                headers={"authorization": f"Bearer {token}"},
            )
            return await run_apart(plan)

        figures = CrudFigures(await load(carts), await load([hot]))
    await remove(database_url)
    return figures


async def _main() -> None:
    async with temporary_postgres() as url:
        figures = await measure_crud(url, make_catalog())
    for name, result in (("spread", figures.spread), ("hot", figures.hot)):
        print(
            f"{name}: {result.per_second:,.0f} requests/s, p50 {result.p50_ms:,.0f} ms, "
            f"p99 {result.p99_ms:,.0f} ms, errors {result.errors}"
        )


if __name__ == "__main__":
    uvloop.run(_main())

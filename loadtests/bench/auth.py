"""What share of a request's time goes to knowing who asks and whether they may.

The real gateway in this process, on real stores with an entity host beside it: rate limit, token check, access check,
handler and durable commit, but neither HAProxy nor the HTTP server, whose time would only make the share smaller. One
request at a time. Counted are the rate limiter (which verifies the token first), the route's authentication, and what
is asked of an actor's roles and organizations. What an entity compares in its own turn is too short to be measured.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from itertools import cycle
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec
import structlog

from actors import cart
from actors.cart import CartKind
from actors.kinds import KINDS
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LocalRuntime
from domain.ids import new_id
from loadtests.bench.report import Metrics, Progress
from loadtests.ground import Catalog, make_catalog, migrate_and_seed, temporary_postgres, temporary_redis
from serve.app import create_app
from serve.assembly import GatewayConfig, open_gateway
from serve.platform.call import Call
from serve.platform.rate_limits import RateLimiter
from services.access import check
from storage.journal.postgres import PostgresJournal
from storage.settings import Settings

REQUESTS: Final = 3_000
FIRST_REQUESTS: Final = 500
WARMUP_REQUESTS: Final = 500
ROUNDS: Final = 5
"""The median of them counts: another process's turn must not decide it."""
QUOTA: Final = 1_000_000
_MICROSECONDS: Final = 1e6


class Stopwatch:
    """Seconds spent in what it was put around, and nothing counted twice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    @contextmanager
    def around(self, *methods: tuple[type | ModuleType, str]) -> Iterator[None]:
        """Time these methods until the block ends."""
        before = [(owner, name, owner.__dict__[name]) for owner, name in methods]
        for owner, name, method in before:
            setattr(
                owner, name, self._timed_async(method) if asyncio.iscoroutinefunction(method) else self._timed(method)
            )
        try:
            yield
        finally:
            for owner, name, method in before:
                setattr(owner, name, method)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(*args: Any, **more: Any) -> Any:
            if self._inside:
                return method(*args, **more)
            self._inside, began = True, time.perf_counter()
            try:
                return method(*args, **more)
            finally:
                self.seconds += time.perf_counter() - began
                self._inside = False

        return timed

    def _timed_async(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def timed(*args: Any, **more: Any) -> Any:
            self._inside, began = True, time.perf_counter()
            try:
                return await method(*args, **more)
            finally:
                self.seconds += time.perf_counter() - began
                self._inside = False

        return timed


AUTHENTICATION: Final = ((RateLimiter, "admit"), (Call, "authenticate"))
AUTHORIZATION: Final = ((cart, "parties"), (check, "parties"), (CartKind, "may_read"))


class Measured(msgspec.Struct, frozen=True):
    """Means per request, in microseconds."""

    request_us: float
    auth_us: float

    @property
    def share(self) -> float:
        return self.auth_us / self.request_us


class Gateway:
    """The application, asked without a network."""

    def __init__(self, app: Any, issue: Callable[[], str], catalog: Catalog) -> None:
        self._app = app
        self.issue = issue
        self._products = cycle([item.id for item in catalog.items])
        self.cart = ""

    async def ask(self, token: str, method: str, path: str, body: bytes = b"") -> bytes:
        """The answer's body. Raises `RuntimeError` unless it is a success."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"host", b"localhost"),
            (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await self._app(scope, receive, send)
        if not 200 <= sent[0]["status"] < 300:
            raise RuntimeError(f"{method} {path}: {sent[0]['status']} {sent[-1]['body'][:200]!r}")
        answered: bytes = sent[-1]["body"]
        return answered

    async def open_cart(self, token: str, merchant_id: str) -> None:
        made = await self.ask(token, "POST", "/api/v1/carts/create", msgspec.json.encode({"merchant_id": merchant_id}))
        self.cart = msgspec.json.decode(made)["id"]

    async def add(self, token: str) -> None:
        body = msgspec.json.encode({"product_id": next(self._products), "quantity": 1})
        await self.ask(token, "POST", f"/api/v1/carts/{self.cart}/items", body)

    async def read(self, token: str) -> None:
        await self.ask(token, "GET", f"/api/v1/carts/{self.cart}")


@asynccontextmanager
async def gateway_up(progress: Progress, catalog: Catalog) -> AsyncIterator[Gateway]:
    """The gateway as `atrium up` puts it together, but for Ray between it and its host."""
    with tempfile.TemporaryDirectory(prefix="atrium-load-") as folder:
        async with temporary_postgres() as url, temporary_redis() as redis_url:
            with progress.step("Postgres, Redis and schema"):
                await migrate_and_seed(url, catalog)
            settings = Settings(data_dir=Path(folder), rate_limit_subject=QUOTA)
            runtime = RuntimeConfig(database_url=url, redis_url=redis_url, keys_dir=folder)
            async with PostgresJournal(url) as journal, LocalRuntime(journal, journal, KINDS) as local:
                config = GatewayConfig(runtime=runtime, settings=settings)
                async with open_gateway(config, f"gateway-{new_id()}", local.client) as opened:
                    subject = new_id()
                    app = create_app(config.nouns, opened)
                    yield Gateway(app, lambda: opened.tokens.issue(subject, ("customer",)), catalog)


async def measure(act: Callable[[str], Any], tokens: list[str]) -> Measured:
    """One request by each token, one after the other."""
    watch = Stopwatch()
    with watch.around(*AUTHENTICATION, *AUTHORIZATION):
        began = time.perf_counter()
        for token in tokens:
            await act(token)
        seconds = time.perf_counter() - began
    return Measured(seconds / len(tokens) * _MICROSECONDS, watch.seconds / len(tokens) * _MICROSECONDS)


async def run(progress: Progress, requests: int = REQUESTS, first_requests: int = FIRST_REQUESTS) -> Metrics:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))  # as an installation has it
    catalog = make_catalog()
    async with gateway_up(progress, catalog) as gateway:
        token = gateway.issue()
        await gateway.open_cart(token, catalog.merchant_id)
        for _ in range(WARMUP_REQUESTS):
            await gateway.read(token)
        await gateway.add(token)
        with progress.step(f"{requests:,} adds and as many reads by a token that is remembered"):
            added = await _median(gateway.add, lambda: [token] * (requests // ROUNDS))
            read = await _median(gateway.read, lambda: [token] * (requests // ROUNDS))
        with progress.step(f"{first_requests:,} adds and reads, each by a token that was never seen"):
            fresh = lambda: [gateway.issue() for _ in range(first_requests // ROUNDS)]  # noqa: E731 - said once
            first_added = await _median(gateway.add, fresh)
            first_read = await _median(gateway.read, fresh)
    return {
        "auth_share": round(added.share, 4),
        "auth_share_read": round(read.share, 4),
        "first_auth_share": round(first_added.share, 4),
        "first_auth_share_read": round(first_read.share, 4),
        "auth_us": round(added.auth_us, 1),
        "first_auth_us": round(first_added.auth_us, 1),
        "request_us": round(added.request_us, 1),
        "read_us": round(read.request_us, 1),
    }


async def _median(act: Callable[[str], Any], tokens: Callable[[], list[str]]) -> Measured:
    rounds = sorted([await measure(act, tokens()) for _ in range(ROUNDS)], key=lambda one: one.share)
    return rounds[ROUNDS // 2]

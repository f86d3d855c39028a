"""HTTP to others, in one place: bounded in time and size, to allowed addresses, through the circuit of each host."""

import asyncio
import random
import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpcore
import httpx
import msgspec

from services.outgoing.addresses import AddressRule, CheckedNetwork, LookUp, Network, look_up
from services.outgoing.breaker import Breakers, Seconds
from services.outgoing.errors import RefusedError, UnreachableError
from services.outgoing.limits import DEFAULTS, OutgoingLimits

_IN_TROUBLE: Final = 500
_TRY_AGAIN: Final = frozenset({502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_SAFE: Final = frozenset({"GET", "HEAD"})
_AGENT: Final = "atrium"


class Reply(msgspec.Struct, frozen=True):
    """What a host answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises `msgspec.DecodeError`."""
        return msgspec.json.decode(self.body)


class Outgoing:
    """One for a process; close it when done.

    `private`: networks that may be called although they are not public; only they are called without TLS.
    `transport` stands in for the network in tests.
    """

    def __init__(
        self,
        *,
        private: tuple[Network, ...] = (),
        limits: OutgoingLimits = DEFAULTS,
        breakers: Breakers | None = None,
        lookup: LookUp = look_up,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: Seconds = time.monotonic,
    ) -> None:
        self.breakers = breakers or Breakers(limits)
        self._limits = limits
        self._seconds = seconds
        self._client = httpx.AsyncClient(
            transport=transport or _transport(AddressRule(private), lookup, limits),
            mounts={} if transport else {"http://": _transport(AddressRule(private, public=False), lookup, limits)},
            timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
            headers={"user-agent": _AGENT, "accept-encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
            follow_redirects=False,
        )

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        return await self.request("GET", url, headers=headers)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        repeatable: bool | None = None,
    ) -> Reply:
        """`repeatable` None: by the method. Only repeatable calls are tried again.

        Raises `UnreachableError`, `CircuitOpenError`, `RefusedError`. A 5xx is an answer, though one that counts
        against the host.
        """
        try:
            request = self._client.build_request(method, url, headers=headers, data=form, content=content)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise RefusedError("this is no URL") from None
        if request.url.scheme not in {"http", "https"} or not request.url.host or request.url.userinfo:
            raise RefusedError("this URL may not be called")
        ends = self._seconds() + self._limits.total_seconds
        attempts = self._limits.attempts_max if _may_repeat(method, repeatable) else 1
        for attempt in range(1, attempts + 1):
            try:
                reply = await self._followed(request, ends)
            except UnreachableError:
                if attempt == attempts or not await self._paused(attempt, ends):
                    raise
                continue
            if reply.status not in _TRY_AGAIN or attempt == attempts or not await self._paused(attempt, ends):
                return reply
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        await self._client.aclose()

    async def _paused(self, attempt: int, ends: float) -> bool:
        """False when there is no time left for another attempt."""
        pause = random.random() * self._limits.backoff_ms * 2 ** (attempt - 1) / 1_000
        if self._seconds() + pause >= ends:
            return False
        await asyncio.sleep(pause)
        return True

    async def _followed(self, request: httpx.Request, ends: float) -> Reply:
        for _ in range(self._limits.redirects_max + 1):
            reply = await self._once(request, ends)
            if reply.status not in _REDIRECTS or request.method not in _SAFE:
                return reply
            request = self._redirected(request, reply.headers.get("location", ""))
        raise RefusedError("too many redirects")

    def _redirected(self, request: httpx.Request, location: str) -> httpx.Request:
        try:
            target = request.url.join(location)
        except (httpx.InvalidURL, ValueError):
            raise RefusedError("redirected to what is no URL") from None
        if (target.scheme, target.host, target.port) != (request.url.scheme, request.url.host, request.url.port):
            raise RefusedError("redirected to another host")
        return httpx.Request(request.method, target, headers=request.headers)

    async def _once(self, request: httpx.Request, ends: float) -> Reply:
        async with self.breakers.guard(request.url.netloc.decode("ascii")) as guarded:
            try:
                async with asyncio.timeout(max(0.0, ends - self._seconds())):
                    reply = await self._exchange(request)
            except TimeoutError:
                raise UnreachableError("no answer in time") from None
            except httpx.UnsupportedProtocol:
                raise RefusedError("this URL may not be called") from None
            except httpx.HTTPError as error:
                raise UnreachableError(type(error).__name__) from None
            guarded.failed = reply.status >= _IN_TROUBLE
            return reply

    async def _exchange(self, request: httpx.Request) -> Reply:
        answer = await self._client.send(request, stream=True)
        try:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise RefusedError("an answer that was compressed though we did not ask for it")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > self._limits.response_bytes_max:
                    raise RefusedError("the answer is too large")
        finally:
            await answer.aclose()
        return Reply(answer.status_code, answer.headers, bytes(body))


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, on a network that checks addresses."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, limits: OutgoingLimits) -> None:
        tls = _tls()
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.connections_max,
            max_keepalive_connections=limits.idle_connections_max,
            keepalive_expiry=limits.idle_seconds,
            network_backend=network,
        )


def _transport(rule: AddressRule, lookup: LookUp, limits: OutgoingLimits) -> _Transport:
    return _Transport(CheckedNetwork(rule, lookup), limits)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Reading all certificates takes a while."""
    return httpx.create_ssl_context()


def _may_repeat(method: str, repeatable: bool | None) -> bool:
    return method.upper() in _REPEATABLE if repeatable is None else repeatable

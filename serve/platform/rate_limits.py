"""Who may ask how often, and what of it is left.

A subject is counted by its token, anybody else by the address they come from. Counts are leased in chunks
(`storage.rate_limits`): a request takes from its client's lease, which costs no round trip. A lease begins with one
and doubles while it is used up, so that a slow client does not block what it never uses. Whoever was refused is refused
here until there is something again.
"""

import asyncio
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.types import Scope

from domain.errors import AtriumError, Failure, Unauthenticated
from serve.platform.addresses import Networks, client_address, networks_of
from serve.platform.credentials import Keys, at_hand, presented
from serve.platform.edge import FIELDS, VERIFIED, Verdict
from services.tokens import Tokens
from storage.bus import BusAway
from storage.rate_limits import Counters, Grant, MemoryCounters
from storage.settings import Settings

LEASE_SECONDS: Final = 10.0
LEASE_MAX: Final = 100
"""Requests granted to one process at a time, at most a tenth of the quota."""
AWAY_SECONDS: Final = 2.0
"""After Redis did not answer, this process counts alone for so long before it asks again."""
CLIENTS_MAX: Final = 50_000
_UNLIMITED: Final = frozenset({"/livez", "/readyz", "/metrics"})

_log = structlog.get_logger("serve.rate_limits")


class Policy(msgspec.Struct, frozen=True):
    """`quota` requests in any `seconds`."""

    name: str
    quota: int
    seconds: int

    @property
    def lease_max(self) -> int:
        return max(1, min(LEASE_MAX, self.quota // 10))


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Per address without a token, per subject, and per address on the paths of `/auth`; `trusted` are proxies."""

    anonymous: Policy = Policy("anonymous", 1_000, 3_600)
    burst: Policy = Policy("burst", 300, 10)
    subject: Policy = Policy("subject", 6_000, 60)
    auth: Policy = Policy("auth", 60, 60)
    auth_prefix: str = "/api/v1/auth/"
    trusted: Networks = ()


def rate_limits_of(settings: Settings) -> RateLimits:
    return RateLimits(
        anonymous=Policy("anonymous", settings.rate_limit_anonymous, 3_600),
        burst=Policy("burst", settings.rate_limit_burst, 10),
        subject=Policy("subject", settings.rate_limit_subject, 60),
        auth=Policy("auth", settings.rate_limit_auth, 60),
        trusted=networks_of(settings.trusted_proxies),
    )


class _Lease:
    """What one process may give one client of one policy. Times are of the limiter's monotonic clock."""

    __slots__ = ("at", "denied", "held", "lock", "remaining", "resets", "size", "until")

    def __init__(self) -> None:
        self.held = 0
        self.size = 0
        self.until = 0.0
        self.denied = 0.0
        self.remaining = 0
        self.resets = 0.0
        self.at = 0
        self.lock = asyncio.Lock()


class RateLimiter:
    """`admit` each request once. `address_key`: by which addresses are hashed, the same at all gateways."""

    def __init__(
        self,
        counters: Counters,
        tokens: Tokens,
        limits: RateLimits,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
        keys: Keys | None = None,
        address_key: bytes = b"",
    ) -> None:
        self._keys = keys
        self._address_key = address_key
        self._counters = counters
        self._alone = MemoryCounters()
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._leases: dict[tuple[str, str], _Lease] = {}
        self._away_until = 0.0
        self._refused = Counter(
            "atrium_rate_limited", "Requests refused by a rate limit.", ("policy",), registry=registry
        )

    async def admit(self, scope: Scope) -> Verdict | None:
        """None for what is not limited. A token that holds is left in the scope for the route."""
        path: str = scope["path"]
        if path in _UNLIMITED:
            return None
        limits = self._limits
        policies: tuple[Policy, ...]
        verified, unknown_key = at_hand(scope[FIELDS], self._tokens, self._keys)
        subject = ""
        if verified is not None:
            scope[VERIFIED] = verified
            subject = verified.subject
        if path.startswith(limits.auth_prefix) and scope["method"] == "POST":
            policies = (limits.auth,) if subject else (limits.auth, limits.burst, limits.anonymous)
            return await self._take(self._hashed(client_address(scope, limits.trusted)), policies)
        if subject:
            return await self._take(subject, (limits.subject,))
        client = self._hashed(client_address(scope, limits.trusted))
        if not unknown_key:
            return await self._take(client, (limits.burst, limits.anonymous))
        verdict = await self._take(client, (limits.burst,))
        if verdict.refusal is not None or await self._is_key(scope):
            return verdict
        return await self._take(client, (limits.anonymous,))

    async def _is_key(self, scope: Scope) -> bool:
        """Whether a key that is not known here yet is one: of its owner's requests this asks for one in half a minute,
        and strangers at the same address lose nothing by it. Who makes keys up is a stranger."""
        if self._keys is None:
            return False
        try:
            scope[VERIFIED] = await self._keys.verify(presented(scope[FIELDS]))
        except Unauthenticated:
            return False
        except AtriumError:
            pass  # the route says that it cannot be looked up now
        return True

    def _hashed(self, address: str) -> str:
        """Addresses are personal, and few enough to try all: without the key nobody finds one from its hash."""
        return blake2b(address.encode(), digest_size=12, key=self._address_key).hexdigest()

    async def _take(self, client: str, policies: tuple[Policy, ...]) -> Verdict:
        now, told = self._clock(), []
        for policy in policies:
            lease = self._leases.get((policy.name, client))
            if lease is None:
                lease = self._new_lease(policy, client)
            if lease.held > 0 and now < lease.until:
                lease.held -= 1
            elif now < lease.denied or not await self._renewed(lease, policy, client):
                self._refused.labels(policy.name).inc()
                return _refusal(policy, lease, self._clock())
            told.append((lease.held + lease.remaining, policy, lease))
        left, policy, lease = min(told, key=_left)
        return Verdict(_headers(policy, left, lease.resets - now))

    def _new_lease(self, policy: Policy, client: str) -> _Lease:
        while len(self._leases) >= CLIENTS_MAX:
            del self._leases[next(iter(self._leases))]
        lease = self._leases[policy.name, client] = _Lease()
        return lease

    async def _renewed(self, lease: _Lease, policy: Policy, client: str) -> bool:
        """Take one from a new lease. Requests of one client that come meanwhile wait for it."""
        async with lease.lock:
            now = self._clock()
            if lease.held > 0 and now < lease.until:
                lease.held -= 1
                return True
            if now < lease.denied:
                return False
            used_up = lease.held == 0 and now < lease.until + LEASE_SECONDS
            lease.size = min(policy.lease_max, max(1, lease.size * 2)) if used_up else 1
            grant = await self._granted(policy, f"{policy.name}:{client}", lease)
            now = self._clock()
            lease.at, lease.remaining, lease.resets = grant.at, grant.remaining, now + grant.resets_ms / 1_000
            lease.until = min(lease.resets, now + LEASE_SECONDS)
            lease.held = max(0, grant.granted - 1)
            lease.denied = now + grant.wait_ms / 1_000 if grant.granted == 0 else 0.0
            return grant.granted > 0

    async def _granted(self, policy: Policy, key: str, lease: _Lease) -> Grant:
        asked: tuple[Any, ...] = (key, policy.quota, policy.seconds, lease.size, lease.held, lease.at)
        if self._clock() >= self._away_until:
            try:
                return await self._counters.take(*asked)
            except BusAway as error:
                self._away_until = self._clock() + AWAY_SECONDS
                _log.warning("rate_limits_counted_alone", error=str(error))
        return await self._alone.take(*asked)


def _left(told: tuple[int, Policy, _Lease]) -> int:
    return told[0]


def _headers(policy: Policy, left: int, resets_s: float) -> list[tuple[bytes, bytes]]:
    """Structured fields of the IETF's RateLimit draft."""
    name = policy.name.encode()
    return [
        (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name, policy.quota, policy.seconds)),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (name, left, max(1, -int(-resets_s // 1)))),
    ]


def _refusal(policy: Policy, lease: _Lease, now: float) -> Verdict:
    failure = Failure(
        "rate_limited",
        429,
        f"More than {policy.quota} requests in {policy.seconds} seconds.",
        extra={"policy": policy.name},
        retry_after_ms=max(1, int((lease.denied - now) * 1_000)),
    )
    return Verdict(_headers(policy, 0, max(lease.denied - now, 1.0)), failure)

"""How often one client may ask: whom it counts, what it says, what happens without Redis."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from actors.runtime.entity import Actor
from domain.errors import Unauthenticated, Unavailable
from domain.ids import new_id
from serve.platform import rate_limits
from serve.platform.addresses import UNKNOWN, client_address, networks_of
from serve.platform.credentials import Keys
from serve.platform.edge import FIELDS
from serve.platform.rate_limits import Policy, RateLimiter, RateLimits, rate_limits_of
from services.tokens import Verified
from storage.bus import BusAway
from storage.rate_limits import Grant, MemoryCounters
from storage.settings import Settings
from tests.serve.house import ALICE, BOB, House

SMALL = RateLimits(
    anonymous=Policy("anonymous", 20, 3_600),
    burst=Policy("burst", 10, 10),
    subject=Policy("subject", 40, 60),
    auth=Policy("auth", 5, 60),
    trusted=networks_of("127.0.0.0/8"),
)


class Counting:
    """Counters that can be away; counts the questions."""

    def __init__(self, seconds: Any) -> None:
        self.memory = MemoryCounters(seconds)
        self.asked = 0
        self.away = False
        self.keys: set[str] = set()

    async def take(self, key: str, quota: int, seconds: int, wanted: int, back: int = 0, back_at: int = 0) -> Grant:
        self.asked += 1
        self.keys.add(key)
        if self.away:
            raise BusAway("ConnectionError")
        return await self.memory.take(key, quota, seconds, wanted, back, back_at)


class Door:
    """A limiter with a clock of its own, and the address that a request comes from."""

    def __init__(
        self, house: House, limits: RateLimits = SMALL, keys: Keys | None = None, address_key: bytes = b""
    ) -> None:
        self.house = house
        self.now = 1_000_000.0
        self.counters = Counting(lambda: self.now)
        self.limiter = RateLimiter(
            self.counters,
            house.tokens,
            limits,
            CollectorRegistry(),
            clock=lambda: self.now,
            keys=keys,
            address_key=address_key,
        )

    async def ask(
        self, subject: str = "", path: str = "/api/v1/merchants", address: str = "203.0.113.7", method: str = "GET"
    ) -> Any:
        fields = {b"authorization": self.house.bearer(subject)["Authorization"].encode()} if subject else {}
        return await self.limiter.admit(
            {"path": path, "method": method, FIELDS: fields, "headers": [], "client": (address, 5_000)}
        )

    async def by_key(self, times: int, key: str) -> int:
        """How many of these are let in, far enough apart for no burst."""
        let_in = 0
        for _ in range(times):
            self.now += 5.0
            scope = {"path": "/api/v1/merchants", "method": "GET", FIELDS: {b"x-api-key": key.encode()}, "headers": []}
            verdict = await self.limiter.admit({**scope, "client": ("203.0.113.7", 5_000)})
            let_in += verdict is not None and verdict.refusal is None
        return let_in

    async def allowed(self, times: int, **more: Any) -> int:
        return [(await self.ask(**more)).refusal for _ in range(times)].count(None)


@pytest.fixture
def door(house: House) -> Door:
    return Door(house)


async def test_a_subject_has_its_quota_whatever_address_it_comes_from(door: Door) -> None:
    first = await door.allowed(30, subject=ALICE)
    second = await door.allowed(30, subject=ALICE, address="198.51.100.9")
    assert first + second == 40
    assert await door.allowed(5, subject=BOB) == 5


async def test_an_address_is_counted_by_a_hash_that_nobody_finds_it_by_without_the_key(house: House) -> None:
    ours, same, other = (Door(house, address_key=key) for key in (b"ours", b"ours", b"another"))
    for door in (ours, same, other):
        await door.ask()
    assert ours.counters.keys == same.counters.keys
    assert not ours.counters.keys & other.counters.keys
    assert not [key for key in ours.counters.keys if "203.0.113.7" in key]


class OneKey:
    """`serve.platform.credentials.Keys`: knows one key, which has to be looked up each time."""

    def known(self, key: str) -> Verified | None:
        return None

    async def verify(self, key: str) -> Verified:
        if key == "atr_away":
            raise Unavailable("The database does not answer.")
        if key != "atr_one":
            raise Unauthenticated("This is no API key of ours.", code="token_invalid")
        return Verified(Actor(ALICE), 2**31, login=new_id(), scopes=frozenset())


@pytest.mark.parametrize("keys", [OneKey(), None])
async def test_who_makes_up_keys_has_no_more_than_a_stranger(house: House, keys: Keys | None) -> None:
    assert await Door(house, keys=keys).by_key(60, "atr_made_up") == 20


@pytest.mark.parametrize("key", ["atr_one", "atr_away"])
async def test_looking_a_key_up_takes_nothing_from_strangers_at_its_address(house: House, key: str) -> None:
    assert await Door(house, keys=OneKey()).by_key(60, key) == 60


async def test_an_address_without_a_token_has_less_at_once_and_in_an_hour(door: Door) -> None:
    assert await door.allowed(15) == 10
    refused = await door.ask()
    assert (refused.refusal.status, refused.refusal.code, refused.refusal.extra) == (
        429,
        "rate_limited",
        {"policy": "burst"},
    )
    door.now += 20
    assert await door.allowed(15) == 10
    door.now += 20
    assert (await door.ask()).refusal.extra == {"policy": "anonymous"}
    assert await door.allowed(5, address="203.0.113.8") == 5


async def test_a_token_that_does_not_hold_counts_for_the_address(door: Door) -> None:
    bad = {"path": "/api/v1/carts", "method": "GET", "headers": [], "client": ("203.0.113.7", 1)}
    verdicts = [
        await door.limiter.admit({**bad, FIELDS: {b"authorization": b"Bearer %d" % number}}) for number in range(11)
    ]
    assert [verdict is not None and verdict.refusal is None for verdict in verdicts] == [True] * 10 + [False]


async def test_logins_are_counted_by_address_with_or_without_a_token(door: Door) -> None:
    path = "/api/v1/auth/login"
    assert await door.allowed(3, path=path, method="POST") == 3
    assert await door.allowed(3, path=path, method="POST", subject=ALICE) == 2
    assert await door.allowed(3, path="/api/v1/auth/jwks.json") == 3


async def test_the_answer_says_what_is_left_of_the_scarcest(door: Door) -> None:
    assert (await door.ask(subject=ALICE)).headers == [
        (b"ratelimit-policy", b'"subject";q=40;w=60'),
        (b"ratelimit", b'"subject";r=39;t=20'),
    ]
    assert (await door.ask()).headers == [
        (b"ratelimit-policy", b'"burst";q=10;w=10'),
        (b"ratelimit", b'"burst";r=9;t=10'),
    ]


async def test_whoever_waits_as_long_as_they_are_told_is_let_in(door: Door) -> None:
    await door.allowed(45, subject=ALICE)
    refused = (await door.ask(subject=ALICE)).refusal
    door.now += refused.retry_after_ms / 1_000 + 0.01
    assert (await door.ask(subject=ALICE)).refusal is None


async def test_a_busy_client_costs_few_questions_and_a_refused_one_none(house: House) -> None:
    door = Door(house, RateLimits(subject=Policy("subject", 6_000, 60)))
    assert await door.allowed(2_000, subject=ALICE) == 2_000
    assert door.counters.asked <= 30
    assert await door.allowed(4_200, subject=ALICE) == 4_000
    asked = door.counters.asked
    assert await door.allowed(100, subject=ALICE) == 0
    assert door.counters.asked == asked


async def test_a_slow_client_gets_all_of_its_quota_across_leases(house: House) -> None:
    door = Door(house, RateLimits(burst=Policy("burst", 300, 10), anonymous=Policy("anonymous", 1_000, 3_600)))
    door.now -= door.now % 3_600
    allowed = 0
    for _ in range(110):
        allowed += await door.allowed(10)
        door.now += 30
    assert allowed == 1_000


async def test_without_redis_each_gateway_counts_alone(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.limiter, "_alone", MemoryCounters(lambda: door.now))
    door.counters.away = True
    assert await door.allowed(60, subject=ALICE) == 40
    assert door.counters.asked == 1, "Redis is not asked again by every request"
    door.counters.away = False
    door.now += rate_limits.AWAY_SECONDS + 0.1
    assert await door.allowed(1, subject=BOB) == 1
    assert door.counters.asked == 2


async def test_the_clients_that_are_remembered_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "CLIENTS_MAX", 4)
    for last in range(1, 20):
        await door.ask(address=f"203.0.113.{last}")
    assert len(door.limiter._leases) == 4


async def test_health_and_metrics_are_never_refused(door: Door) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert await door.ask(path=path) is None


async def test_over_http_it_is_a_problem_with_retry_after(house: House) -> None:
    edge: Any = house.app.middleware_stack or house.app.build_middleware_stack()
    house.app.middleware_stack = edge
    while not hasattr(edge, "_limiter"):
        edge = edge.app
    edge._limiter = Door(house).limiter
    headers = house.bearer(new_id())
    answers = [await house.http.get("/api/v1/carts", headers=headers) for _ in range(41)]
    assert [answer.status_code for answer in answers] == [200] * 40 + [429]
    assert answers[0].headers["ratelimit"].startswith('"subject";r=39;t=')
    refused = answers[-1]
    assert (refused.headers["content-type"], refused.json()["code"]) == ("application/problem+json", "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-request-id"] == refused.json()["correlation_id"]
    answers = [await house.http.get("/api/v1/nothing") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [404] * 10 + [429]


def test_the_settings_say_the_quotas() -> None:
    limits = rate_limits_of(Settings(rate_limit_anonymous=77, rate_limit_auth=3, trusted_proxies="10.0.0.0/8"))
    assert (limits.anonymous.quota, limits.auth.quota, limits.subject.quota) == (77, 3, 6_000)
    assert limits.trusted == networks_of("10.0.0.0/8")
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(trusted_proxies="somewhere")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.1, 127.0.0.9"], "198.51.100.1"),
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["198.51.100.1, " + "127.0.0.1, " * 40 + "127.0.0.1"], "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("a socket", [], UNKNOWN),
    ],
)
def test_an_address_is_believed_only_from_a_trusted_proxy(peer: str, forwarded: list[str], address: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"client": (peer, 1), "headers": headers}
    assert client_address(scope, networks_of("127.0.0.0/8, ::1")) == address


def test_a_request_without_a_peer_has_no_address() -> None:
    assert client_address({"client": None, "headers": []}, ()) == UNKNOWN

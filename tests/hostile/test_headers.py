"""Headers in which somebody claims to be elsewhere, to be somebody, or to decide for us."""

from typing import Any

import pytest

from serve.ingress_middlewares import StripHeaders
from serve.platform.addresses import client_address, networks_of
from tests.serve.access.accounts import address_of, give_accounts
from tests.serve.house import ALICE, House
from tests.services.accounts.people import text_of

Headers = list[tuple[bytes, bytes]]


async def raw(app: Any, method: str, path: str, headers: Headers, body: bytes = b"", query: bytes = b"") -> Any:
    """An answer (status, headers) to headers as no client library would send them."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("203.0.113.7", 5),
        "server": ("test", 80),
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return sent[0]["status"], sent[0]["headers"]


def lower(headers: dict[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "content-length", "content-type", "cookie", "host", "idempotency-key", "if-match"),
        *("origin", "x-api-key", "x-csrf-token"),
    ],
)
async def test_a_header_that_can_be_there_once_is_there_once(house: House, name: str) -> None:
    """Of two, a proxy would believe the first and the application the last."""
    bearer = lower(house.bearer())
    twice = [*bearer, (name.encode(), b"1"), (name.encode(), b"2")]
    status, headers = await raw(house.app, "GET", "/api/v1/carts", twice)
    assert status == 400
    assert (b"content-type", b"application/problem+json") in headers
    status, _ = await raw(house.app, "GET", "/api/v1/carts", [*bearer, (b"accept", b"a"), (b"accept", b"b")])
    assert status == 200


async def test_a_socket_with_two_origins_is_refused(house: House) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"api.example"), (b"origin", b"https://evil.example"), (b"origin", b"https://api.example")]
    scope = {"type": "websocket", "path": "/api/v1/live", "headers": headers, "query_string": b"", "subprotocols": []}
    await house.app(scope, receive, send)
    assert [message["code"] for message in sent] == [1008]


async def test_values_with_line_ends_never_reach_an_answer(house: House) -> None:
    """Response splitting: also if the server in front let them through."""
    evil = b"x\r\nset-cookie: a=b\r\n\r\n<html>"
    for name in (b"x-request-id", b"idempotency-key", b"origin", b"if-none-match", b"host", b"x-correlation-id"):
        for path in ("/api/v1/carts", "/api/v1/carts/create", "/livez", "/api/v1/x\r\nset-cookie: a=b"):
            for method in ("GET", "POST", "OPTIONS"):
                found = [*lower(house.bearer()), (b"access-control-request-method", b"POST"), (name, evil)]
                status, headers = await raw(house.app, method, path, found, b"{}")
                assert status < 500
                joined = b"".join(part for pair in headers for part in pair)
                assert b"\r" not in joined
                assert b"\n" not in joined
                assert b"set-cookie" not in [pair[0] for pair in headers]


async def test_a_request_is_what_its_method_says(house: House) -> None:
    """Verb tunnelling."""
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"):
        headers = {**house.bearer(), name: "DELETE"}
        assert (await house.http.get(path, headers=headers)).status_code == 200
        assert (await house.http.post(path, headers=headers)).status_code == 405
        await house.http.get(path, params={"_method": "DELETE"}, headers=headers)
    assert (await house.http.get(path, headers=house.bearer())).status_code == 200, "it is still there"
    for method in ("TRACE", "CONNECT", "TRACK", "DEBUG", "get", "G\u0130T"):
        assert (await raw(house.app, method, path, lower(house.bearer())))[0] in {404, 405}, method


async def test_no_header_of_a_stranger_sets_a_time_limit() -> None:
    """Whatever Serve, gRPC gateways or proxies would read them from."""
    kept: Headers = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        kept.extend(scope["headers"])

    spoofed = [b"x-request-timeout-seconds", b"x-request-disconnect-disabled"]
    await StripHeaders(app)({"type": "http", "headers": [(name, b"0.001") for name in spoofed]}, None, None)  # type: ignore[arg-type]
    assert kept == [(b"x-request-disconnect-disabled", b"?1")], "only what this house says itself"


async def test_a_time_limit_that_somebody_asks_for_is_not_kept(house: House) -> None:
    for name in (
        *("X-Request-Timeout-Seconds", "X-Request-Timeout", "X-Timeout", "X-Envoy-Upstream-Rq-Timeout-Ms"),
        *("Grpc-Timeout", "Request-Timeout", "X-Deadline", "X-Timeout-Ms", "Timeout"),
    ):
        for value in ("0", "0.000001", "-1", "99999999", "nan", "1; DROP"):
            answer = await house.http.get("/api/v1/carts", headers={**house.bearer(), name: value})
            assert answer.status_code == 200, (name, value)


async def test_links_in_mails_lead_where_the_installation_says_whatever_host_was_asked(house: House) -> None:
    await give_accounts(house)
    for headers in (
        {"Host": "evil.example"},
        {"Host": "test@evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Host": "evil.example", "X-Forwarded-Server": "evil.example", "Forwarded": "host=evil.example"},
        {"Referer": "https://evil.example/", "Origin": "https://evil.example", "X-Original-URL": "//evil.example"},
    ):
        body = {"email": address_of(ALICE)}
        answer = await house.http.post("/api/v1/auth/forgot-password", json=body, headers=headers)
        assert answer.status_code == 202
    await house.accounts.background.settled()
    mails = house.mail.to(address_of(ALICE))
    assert mails
    for mail in mails:
        assert "evil" not in text_of(mail)
        assert "evil" not in mail.as_string()


async def test_no_answer_repeats_the_host_that_was_asked(house: House) -> None:
    made = await house.http.post(
        "/api/v1/carts/create", json={"currency": "EUR"}, headers={**house.bearer(), "Host": "evil.example"}
    )
    assert made.headers["location"].startswith("/api/v1/carts/")
    assert "evil" not in made.text + str(made.headers)


def test_an_address_is_nobodys_to_claim_but_a_trusted_proxys() -> None:
    """Whatever header others' proxies would have believed, and X-Forwarded-For from whom we do not trust."""
    trusted = networks_of("10.0.0.0/8")
    claims = (
        *("forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip"),
        *("x-cluster-client-ip", "x-original-forwarded-for", "x-forwarded", "forwarded-for", "client-ip", "via"),
        *("x-remote-addr", "remote-addr", "x-envoy-external-address", "x-originating-ip", "x-forwarded-host"),
    )
    said = [(name.encode(), value) for name in claims for value in (b"127.0.0.1", b"for=127.0.0.1")]
    for peer, forwarded, address in (
        ("203.0.113.7", b"127.0.0.1", "203.0.113.7"),
        ("10.0.0.1", b"127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", b"203.0.113.9, evil", "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
    ):
        scope = {"client": (peer, 1), "headers": [*said, (b"x-forwarded-for", forwarded)]}
        assert client_address(scope, trusted) == address, (peer, forwarded)

"""Outgoing HTTP over real sockets, and hosts that would rather have us call somebody else."""

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outgoing.addresses import AddressRule, networks_of
from services.outgoing.breaker import Breakers, State
from services.outgoing.client import Outgoing
from services.outgoing.errors import CircuitOpenError, RefusedError, UnreachableError
from services.outgoing.limits import OutgoingLimits

LOOPBACK = networks_of("127.0.0.0/8, ::1")
LIMITS = OutgoingLimits(
    connect_seconds=0.5, read_seconds=0.2, total_seconds=2.0, response_bytes_max=1_000, backoff_ms=1, failures_to_open=4
)


class Script:
    """Answers in order, the last one for good; each is what is sent on the wire, None is silence."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[str] = []
        self.heads: list[str] = []

    async def serve(self, reader, writer):
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.asked.append(head.partition("\r\n")[0])
                self.heads.append(head.lower())
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    await reader.read()
                else:
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status=200, body=b"fine", *headers):
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def talking_to(*answers, **options):
    script = Script(*answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    outgoing = Outgoing(**{"private": LOOPBACK, "limits": LIMITS, **options})
    async with server:
        try:
            yield script, outgoing, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await outgoing.close()


async def test_an_answer_comes_back_whatever_its_status():
    async with talking_to(answer(404, b'{"a":1}', "x-one: two")) as (script, outgoing, url):
        reply = await outgoing.get(f"{url}/path?q=1")
    assert (reply.status, reply.json(), reply.headers["x-one"]) == (404, {"a": 1}, "two")
    assert script.asked == ["GET /path?q=1 HTTP/1.1"]


async def test_nothing_that_a_host_sets_is_brought_to_it_again_and_the_environment_says_nothing(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with talking_to(answer(200, b"", "set-cookie: who=ada; Path=/")) as (script, outgoing, url):
        for _ in range(2):
            assert (await outgoing.get(url)).status == 200
    assert all("cookie:" not in head and "accept-encoding: identity" in head for head in script.heads)


async def test_a_call_that_may_be_repeated_is_tried_again_and_another_is_not():
    async with talking_to(answer(503), answer(502), answer()) as (script, outgoing, url):
        assert (await outgoing.get(url)).status == 200
        assert len(script.asked) == 3
    async with talking_to(answer(503), answer()) as (script, outgoing, url):
        assert (await outgoing.request("POST", url, form={"a": "b"})).status == 503
        assert (await outgoing.request("POST", url, content=b"x", repeatable=True)).status == 200
    async with talking_to(answer(503)) as (script, outgoing, url):
        assert (await outgoing.get(url)).status == 503
        assert len(script.asked) == LIMITS.attempts_max


async def test_silence_and_a_slow_drip_end_in_time():
    async with talking_to(None) as (_, outgoing, url):
        with pytest.raises(UnreachableError):
            await outgoing.request("POST", url)
    limits = OutgoingLimits(read_seconds=5.0, total_seconds=0.1, connect_seconds=0.1)
    async with talking_to(b"HTTP/1.1 200 X\r\n", limits=limits) as (_, outgoing, url):
        with pytest.raises(UnreachableError, match="in time"):
            await outgoing.get(url)


async def test_a_host_that_fails_is_left_alone_and_comes_back():
    now = [0.0]
    breakers = Breakers(LIMITS, lambda: now[0])
    async with talking_to(*[answer(500)] * 4, answer(), breakers=breakers) as (script, outgoing, url):
        for _ in range(4):
            assert (await outgoing.request("POST", url)).status == 500
        with pytest.raises(CircuitOpenError):
            await outgoing.get(url)
        assert len(script.asked) == 4
        now[0] += LIMITS.open_seconds
        assert (await outgoing.get(url)).status == 200
        assert (await outgoing.get(url)).status == 200
    assert [each.state for each in breakers.all()] == [State.CLOSED]


async def test_redirects_are_followed_within_the_host_only_and_not_for_ever():
    async with talking_to(answer(302, b"", "location: /there?x=1"), answer()) as (script, outgoing, url):
        assert (await outgoing.get(url)).status == 200
        assert script.asked[1] == "GET /there?x=1 HTTP/1.1"
    for target in (
        "http://127.0.0.1:1/",
        "http://169.254.169.254/",
        "https://127.0.0.1/",
        "//evil.test/",
        "gopher://x",
    ):
        async with talking_to(answer(302, b"", f"location: {target}")) as (script, outgoing, url):
            with pytest.raises(RefusedError):
                await outgoing.get(url)
            assert len(script.asked) == 1
    async with talking_to(answer(302, b"", "location: /again")) as (script, outgoing, url):
        with pytest.raises(RefusedError, match="too many"):
            await outgoing.get(url)
    async with talking_to(answer(307, b"", "location: /other")) as (script, outgoing, url):
        assert (await outgoing.request("POST", url, form={"secret": "x"})).status == 307


@pytest.mark.parametrize(
    "wire",
    [
        answer(200, b"x" * 1_001),
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n" + b"200\r\n"
        b"" + b"x" * 512 + b"\r\n0\r\n\r\n",
        answer(200, b"\x1f\x8b", "content-encoding: gzip"),
    ],
)
async def test_an_answer_that_is_too_large_or_could_become_so_is_not_taken(wire):
    async with talking_to(wire) as (_, outgoing, url):
        with pytest.raises(RefusedError):
            await outgoing.get(url)
        assert outgoing.breakers.all()[0].is_spotless


async def test_private_addresses_are_not_called_by_whatever_name():
    async def lookup(host, port):
        return {"rebound.test": ["93.184.216.34", "127.0.0.1"], "none.test": []}.get(host, ["127.0.0.1"])

    async with talking_to(answer(), private=(), lookup=lookup) as (script, outgoing, url):
        port = url.rpartition(":")[2]
        for target in (f"https://inside.test:{port}", f"https://rebound.test:{port}", f"https://127.0.0.1:{port}"):
            with pytest.raises(RefusedError, match="address"):
                await outgoing.get(target)
        with pytest.raises(UnreachableError):
            await outgoing.get("https://none.test")
        assert script.asked == []


async def test_of_several_addresses_the_next_is_called_when_one_does_not_answer():
    async def lookup(host, port):
        return ["127.0.0.2", "127.0.0.1"]

    async with talking_to(answer(), lookup=lookup) as (_, outgoing, url):
        assert (await outgoing.get(f"http://both.test:{url.rpartition(':')[2]}")).status == 200


async def test_without_tls_only_the_named_networks_are_called():
    async def lookup(host, port):
        return ["93.184.216.34"]

    async with talking_to(answer(), lookup=lookup) as (_, outgoing, _url):
        with pytest.raises(RefusedError, match="address"):
            await outgoing.get("http://public.test")


@pytest.mark.parametrize("url", ["ftp://a.test/", "file:///etc/passwd", "https://a:b@c.test/", "//a", "", "https://"])
async def test_what_is_no_plain_http_url_is_not_called(url):
    outgoing = Outgoing(limits=LIMITS)
    with pytest.raises(RefusedError):
        await outgoing.get(url)
    await outgoing.close()


async def test_a_name_that_is_not_known_and_a_port_that_is_closed_are_unreachable():
    async def lookup(host, port):
        if host == "unknown.test":
            raise OSError("no such name")
        return ["127.0.0.1"]

    outgoing = Outgoing(private=LOOPBACK, limits=LIMITS, lookup=lookup)
    for url in ("https://unknown.test", "http://127.0.0.1:1"):
        with pytest.raises(UnreachableError):
            await outgoing.get(url)
    await outgoing.close()


async def test_a_transport_may_stand_in_for_the_network():
    outgoing = Outgoing(transport=httpx.MockTransport(lambda request: httpx.Response(201, text=request.url.host)))
    assert (await outgoing.get("https://a.test/")).body == b"a.test"
    await outgoing.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::", "what", "",
    ],
)  # fmt: skip
def test_these_addresses_are_not_public(address):
    assert not AddressRule().allows(address)


@given(st.ip_addresses(v=4))
def test_a_named_network_may_be_called_and_nothing_is_allowed_that_python_calls_private(address):
    assert AddressRule([ip_network(str(address))]).allows(str(address))
    assert AddressRule([ip_network(str(address))]).allows(f"::ffff:{address}")
    if address.is_private:
        assert not AddressRule().allows(str(address))
    assert not AddressRule(public=False).allows(str(address))
